"""Which points count, and means over channels that no value escapes.

Axes: B samples, T predicted frames, C channels, H rows, W columns. A mask
`points_B1CHW` of zeros and ones says which points count; a channel without a
single point is left out of every mean. Pure.
Departure: a value that is not finite becomes inf, so a diverged forecast ranks
last instead of vanishing from a mean.
"""

import torch
from torch import Tensor

from foundation.physics.norms import space


def scored_points(asked_mask_BC: Tensor, valid_mask: Tensor, stride: int = 1) -> Tensor:
    """The points that count: scored channels, fluid cells, every `stride`-th along each axis.

    Args:
        asked_mask_BC: 1 for scored channels (B, C).
        valid_mask: 1 in the fluid (B, 1, *S).
        stride: model resolution // native size; the published protocol's `k`.

    Returns:
        0/1 mask (B, 1, C, *S).
    """
    dimensions = valid_mask.ndim - 2
    grid = torch.zeros_like(valid_mask[0, 0])
    grid[(slice(None, None, stride),) * dimensions] = 1.0
    asked = asked_mask_BC.reshape(*asked_mask_BC.shape, *(1,) * dimensions)
    return (asked * valid_mask * grid)[:, None]


def mean_over_channels(values: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Mean over axis 1 (C) of the channels that have points; not finite becomes inf."""
    kept_BC = points_B1CHW.amax((1, *space(points_B1CHW))) > 0
    kept_BC = kept_BC.reshape(kept_BC.shape + (1,) * (values.ndim - 2))
    return or_inf(torch.where(kept_BC, values, 0.0).sum(1) / kept_BC.sum(1))


def or_inf(values: Tensor) -> Tensor:
    """The values; inf where one is not finite."""
    return torch.where(torch.isfinite(values), values, torch.inf)
