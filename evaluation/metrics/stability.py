"""How long a forecast that runs free stays bounded: a forecast in, one value per sample out.

Axes: B samples, T predicted frames with a truth, F frames beyond its end, C channels, H rows,
W columns. The truth is needed for its size alone, so these go on where it ends.
"""

import torch
from torch import Tensor

from evaluation.metrics.forecast import Forecast
from evaluation.metrics.points import or_inf
from foundation.physics.norms import space

# Fields of the corpora grow by less from one end of their trajectories to the other; a network
# that runs away passes any such bound within a few frames.
BOUND = 3.0


def growth(forecast: Forecast) -> Tensor:
    """Largest size of the prediction, relative to the largest size of the truth.

    `max_t max_c rms(pred_t) / max_t' rms(true_t')`, rms over counted points, t over all
    predicted frames, with and without a truth: about 1 for a forecast that stays on its scale.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    return sizes(forecast).amax(1)


def stable_frames(forecast: Forecast) -> Tensor:
    """Frames before the first one that is larger than three times the truth ever is.

    Returns:
        (B,), in frames, 0 to T + F; all of them, a lower bound, where none is.
    """
    within = (sizes(forecast) <= BOUND).to(forecast.true_BTCHW.dtype)
    return within.cumprod(1).sum(1)


def sizes(forecast: Forecast) -> Tensor:
    """Size of every predicted frame in that of the truth, of the largest channel (B, T + F)."""
    points = forecast.points_B1CHW
    largest_BC = _rms(forecast.true_BTCHW, points).amax(1)
    parts = [forecast.pred_BTCHW]
    if forecast.beyond_BTCHW is not None:
        parts.append(forecast.beyond_BTCHW)
    rms_BTC = torch.cat([_rms(part, points) for part in parts], dim=1)
    counted_B1C = points.amax(space(points)) > 0
    # A channel whose truth has no size has none to be relative to.
    nothing_BTC = (rms_BTC == 0) | (largest_BC == 0)[:, None]
    ratio_BTC = torch.where(nothing_BTC, 0.0, rms_BTC / largest_BC[:, None])
    return or_inf(torch.where(counted_B1C, ratio_BTC, 0.0)).amax(2)


def _rms(fields_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """(B, T, C); in double, since a forecast that runs away squares beyond single precision."""
    kept = torch.where(points_B1CHW > 0, fields_BTCHW, 0.0).double()
    num_B1C = points_B1CHW.sum(space(points_B1CHW)).clamp_min(1.0)
    return (kept.square().sum(space(kept)) / num_B1C).sqrt()
