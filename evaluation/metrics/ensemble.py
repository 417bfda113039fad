"""Several forecasts of one future: members beside the truth in, one value per sample out.

Axes: M members, B samples, T predicted frames, C channels, S cells of the scored grid.
Source: Gneiting & Raftery (2007) for the continuous ranked probability score, Ferro (2014) for its
estimate that does not depend on the number of members, Fortin et al. (2014) for spread and skill.
Departure: relative to the truth's root mean square, channel by channel, so that channels and
corpora compare, as in L2RE. A single forecast is an ensemble of one: its score is its mean error.
"""

import torch
from torch import Tensor

from evaluation.metrics.points import mean_over_channels, or_inf
from foundation.physics.norms import space


def crps(members: Tensor, true: Tensor, points: Tensor) -> Tensor:
    """Continuous ranked probability score, mean over points and frames, relative to the truth.

    Args:
        members: predictions (M, B, T, C, *S).
        true: (B, T, C, *S).
        points: 1 where a point counts (B, 1, C, *S).

    Returns:
        (B,), dimensionless; inf where a member is not finite.
    """
    return relative_mean(crps_at_points(members, true), true, points)


def crps_at_points(members: Tensor, true: Tensor) -> Tensor:
    """`mean |X - y| - mean_{i != j} |X_i - X_j| / 2` at every point (B, T, C, *S).

    The second mean is over pairs of different members, by their order: of sorted members number k
    is the larger one of k pairs and the smaller one of M - 1 - k.
    """
    count = len(members)
    error = (members - true).abs().mean(0)
    if count == 1:
        return error
    ranks = torch.arange(count, device=members.device, dtype=members.dtype)
    weights = (2 * ranks - (count - 1)) / (count * (count - 1))
    spread: Tensor = torch.tensordot(weights, members.sort(0).values, dims=1)
    return error - spread


def spread_skill(members: Tensor, true: Tensor, points: Tensor) -> Tensor:
    """Spread of the members over the error of their mean; 1 if they differ as truth and mean do.

    `sqrt((1 + 1/M) <var>) / sqrt(<(mean - true)^2>)`, `<>` over points and frames, mean over
    channels: below 1 the ensemble is too sure.

    Returns:
        (B,), dimensionless; inf where a member is not finite.
    """
    over = (1, *space(true))
    error_BC = (points * (members.mean(0) - true).square()).sum(over)
    spread_BC = (points * members.var(0)).sum(over) * (1 + 1 / len(members))
    ratio_BC = torch.where(error_BC == 0, torch.inf, (spread_BC / error_BC).sqrt())
    return mean_over_channels(ratio_BC, points, error_BC > 0)


def relative_mean(values: Tensor, true: Tensor, points: Tensor) -> Tensor:
    """Mean over counted points and frames (B,), in the truth's root mean square, by channels."""
    over = (1, *space(true))
    frames = true.shape[1]
    count_BC = (points.sum(over) * frames).clamp_min(1)
    mean_BC = (points * values).sum(over) / count_BC
    size_BC = ((points * true.square()).sum(over) / count_BC).sqrt()
    relative_BC = torch.where(mean_BC == 0, 0.0, mean_BC / size_BC)
    return or_inf(mean_over_channels(relative_BC, points, size_BC > 0))
