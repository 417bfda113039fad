"""What a forecast is judged by: predicted and true frames in, one number per sample out."""

from data_shards.stream.origin import Origin
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.points import scored_points
from evaluation.metrics.registry import (
    METRICS,
    Metric,
    MetricName,
    find_metric,
    frame_metric,
    measure,
)
from evaluation.metrics.relative import l2re, l2re_per_frame, max_error, nrmse, vrmse

__all__ = [
    "METRICS",
    "Forecast",
    "Metric",
    "MetricName",
    "Origin",
    "Setting",
    "find_metric",
    "frame_metric",
    "l2re",
    "l2re_per_frame",
    "max_error",
    "measure",
    "nrmse",
    "scored_points",
    "vrmse",
]
