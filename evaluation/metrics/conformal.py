"""Split conformal prediction: scores of trajectories nobody learnt from in, a factor out.

Axes: N trajectories, P points of each. A trajectory is drawn as those of a test are; its points are
anything but independent. So all of a trajectory's points share its weight 1 / (N + 1), the
trajectory to come has the last one, at infinity, and the factor is the quantile of that sum.
For a point drawn from a new trajectory of the same kind, `P(score <= factor) >= level`, whatever
the model and the field, and not by more than 1 / (N + 1) and the weight of a single point.
Source: Vovk et al. (2005); Dunn, Wasserman & Ramdas (2022), pooling of the distributions of groups.
"""

import math

import torch
from torch import Tensor

from data_shards.errors import UserError


def least_trajectories(level: float) -> int:
    """As few as give a factor at all: 9 for 90 %."""
    return math.ceil(level / (1 - level) - 1e-9)


def conformal_factor(scores_NP: Tensor, level: float) -> Tensor:
    """The factor that a share `level` of the points to come stays below.

    Args:
        scores_NP: of N trajectories (N, P, ...); NaN where a point does not count.
        level: share of points, between 0 and 1.

    Returns:
        (...), inf where the forecasts of too many trajectories are not finite.

    Raises:
        UserError: too few trajectories for this level.
    """
    count = len(scores_NP)
    if count < least_trajectories(level):
        raise UserError(
            f"{count} trajectories to calibrate on, bands of {level:.0%} need "
            f"{least_trajectories(level)} or more; generate more of that split"
        )
    there = ~scores_NP.isnan()
    weights = there / there.sum(1, keepdim=True).clamp_min(1)
    weighed = there.any(1, keepdim=True).sum(0, keepdim=True) + 1  # trajectories with any point
    weights = (weights / weighed).flatten(0, 1)
    scores, order = scores_NP.flatten(0, 1).nan_to_num(nan=torch.inf, posinf=torch.inf).sort(0)
    reached = weights.gather(0, order).double().cumsum(0) >= level - 1e-9
    first = reached.long().argmax(0, keepdim=True)
    factor = scores.gather(0, first)[0]
    return torch.where(reached.any(0), factor, torch.inf)
