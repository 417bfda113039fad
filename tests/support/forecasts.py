"""Forecasts by hand, for tests of metrics: plain tensors in, what a metric takes out."""

from collections.abc import Mapping

import torch
from torch import Tensor

from data_shards.stream.origin import Origin
from evaluation.metrics.forecast import Forecast, Setting


def forecast_of(
    pred: Tensor,
    true: Tensor,
    points: Tensor | None = None,
    *,
    channels: tuple[str, ...] | None = None,
    sides: tuple[str, ...] = (),
    conserved: Mapping[str, tuple[str, ...]] | None = None,
    solenoidal: tuple[str, str] | None = None,
    threshold: float = 0.2,
    origin: Origin | None = None,
) -> Forecast:
    """Predicted and true frames (B, T, C, H, W) as the runner would hand them on."""
    rows, columns = true.shape[-2:]
    setting = Setting(
        grid=(rows, columns),
        frames=true.shape[1],
        channels=channels or tuple(f"c{i}" for i in range(true.shape[2])),
        sides=sides,
        conserved=conserved,
        solenoidal=solenoidal,
        threshold=threshold,
    )
    everywhere = torch.ones_like(true[:, :1])
    origins = (origin or Origin(),) * true.shape[0]
    return Forecast(pred, true, everywhere if points is None else points, setting, origins)
