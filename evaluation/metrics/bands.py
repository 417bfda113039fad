"""Bands about a forecast: their half width and the truth in, one value per sample out.

Axes: B samples, T predicted frames, C channels, S cells of the scored grid.
A band is `prediction +- q scale`: the scale is what the forecast itself says of how sure it is, the
factor q of every frame and channel comes from trajectories that nothing was learnt from
(`conformal`). Source: Gneiting & Raftery (2007) for the interval score.
"""

from torch import Tensor

from evaluation.metrics.ensemble import relative_mean
from evaluation.metrics.points import or_inf
from foundation.physics.norms import space

_LEAST = 1e-6  # of a scale, relative to the size of the frame


def scale_of(pred: Tensor, members: Tensor | None, points: Tensor) -> Tensor:
    """How far from a forecast the truth may be, but for a factor (B, T, C, *S).

    Of an ensemble half of it is the spread of the members at the point, half their spread over the
    frame (as squares): where all agree the band does not vanish. Of a single forecast it is the
    frame's deviation in space. It depends on nothing but the sample's own forecast, as the
    guarantee of `conformal` asks.

    Args:
        pred: the forecast (B, T, C, *S).
        members: (M, B, T, C, *S), whose mean it is; None of a single forecast.
        points: 1 where a point counts (B, 1, C, *S).
    """
    over = space(pred)
    count = points.sum(over, keepdim=True).clamp_min(1)

    def mean(values: Tensor) -> Tensor:
        return (points * values).sum(over, keepdim=True) / count

    if members is None:
        squared = mean((pred - mean(pred)).square()).expand_as(pred)
    else:
        variance = members.var(0)
        squared = (variance + mean(variance)) / 2
    return (squared + _LEAST**2 * mean(pred.square())).sqrt()


def coverage(pred: Tensor, half: Tensor, true: Tensor, points: Tensor) -> Tensor:
    """Share of counted points, frames and channels where the truth is within the band (B,)."""
    within = ((true - pred).abs() <= half) * points
    return within.flatten(1).sum(1) / (points.flatten(1).sum(1) * true.shape[1])


def band_width(pred: Tensor, half: Tensor, true: Tensor, points: Tensor) -> Tensor:
    """Mean width of the band in the truth's root mean square, mean over channels (B,)."""
    return relative_mean(2 * half, true, points)


def interval_score(
    pred: Tensor, half: Tensor, true: Tensor, points: Tensor, level: float
) -> Tensor:
    """Width of the band, and what the truth lies outside of it times `2 / (1 - level)` (B,).

    Least in the mean for the narrowest band that covers as it says; relative to the truth's root
    mean square, mean over channels.
    """
    outside = ((true - pred).abs() - half).clamp_min(0)
    penalty = 2 / (1 - level)
    return or_inf(relative_mean(2 * half + penalty * outside, true, points))
