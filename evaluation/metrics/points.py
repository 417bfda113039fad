"""Which points count, and means over channels that no value escapes.

Axes: B samples, T predicted frames, C channels, H rows, W columns. A mask
`points_B1CHW` of zeros and ones says which points count; a channel without a
single point is left out of every mean, and so is one whose truth has no norm to
be relative to. Pure.
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


def mean_over_channels(values_BC: Tensor, points_B1CHW: Tensor, has_norm_BC: Tensor) -> Tensor:
    """Mean of the channels that have points and a norm; not finite becomes inf.

    Args:
        values_BC: errors relative to the truth (B, C).
        points_B1CHW: which points count.
        has_norm_BC: whether there is a truth to be relative to; an inf says that there is none.

    Returns:
        (B,); 0 where there are points and none of their channels has a norm: nothing is known
        to be wrong.
    """
    there_BC = points_B1CHW.amax((1, *space(points_B1CHW))) > 0
    kept_BC = there_BC & (has_norm_BC | values_BC.isnan())
    mean_B = or_inf(torch.where(kept_BC, values_BC, 0.0).sum(1) / kept_BC.sum(1))
    return torch.where(there_BC.any(1) & ~kept_BC.any(1), 0.0, mean_B)


def or_inf(values: Tensor) -> Tensor:
    """The values; inf where one is not finite."""
    return torch.where(torch.isfinite(values), values, torch.inf)
