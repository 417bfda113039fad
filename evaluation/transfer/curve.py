"""Few-shot curves: errors by number of trajectories in, data saved at equal error out. Pure.

Both axes are logarithmic: errors of learning fall like powers of the number of
trajectories, so a straight line between two measured points is a power law.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Literal

from pydantic import ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

from data_shards.config import Config

Bound = Literal["exact", "at_least", "at_most"]


class _Stored(Config):
    """JSON has no infinity; a diverged error is written as the string "Infinity"."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Point(_Stored):
    """The error after learning from a number of trajectories."""

    trajectories: PositiveInt
    error: NonNegativeFloat  # mean over seeds
    standard_error: NonNegativeFloat | None  # of that mean; None for one seed or a diverged one
    seeds: PositiveInt


class EqualSize(_Stored):
    """From how many trajectories an error comes, as far as a curve reaches."""

    trajectories: PositiveFloat
    bound: Bound


class Gain(_Stored):
    """What pre-training is worth at one number of trajectories."""

    trajectories: PositiveInt
    pretrained: Point
    scratch: Point
    error_factor: NonNegativeFloat | None  # error from scratch over that after pre-training
    equal: EqualSize | None  # trajectories that learning from scratch takes for the same error
    data_factor: PositiveFloat | None  # that number over this one, under the same bound


def curve_of(errors: Iterable[tuple[int, float]]) -> tuple[Point, ...]:
    """Means over seeds, by number of trajectories.

    Args:
        errors: number of trajectories and error of every run; inf where it diverged.
    """
    by_size: dict[int, list[float]] = {}
    for trajectories, error in errors:
        by_size.setdefault(trajectories, []).append(error)
    return tuple(_point(size, values) for size, values in sorted(by_size.items()))


def equal_size(curve: Sequence[Point], error: float) -> EqualSize | None:
    """The smallest number of trajectories at which a curve comes down to an error.

    Args:
        curve: in the order of its trajectories.
        error: to be reached.

    Returns:
        Interpolated between two points (exact); at most the first number where the curve
        starts below the error; at least the last where it stays above; None without a
        curve, or for an error that is not a positive number.
    """
    if not curve or not (math.isfinite(error) and error > 0):
        return None
    if curve[0].error <= error:
        return EqualSize(trajectories=curve[0].trajectories, bound="at_most")
    for above, below in pairwise(curve):
        if below.error <= error:
            return _between(above, below, error)
    return EqualSize(trajectories=curve[-1].trajectories, bound="at_least")


def gains(pretrained: Sequence[Point], scratch: Sequence[Point]) -> tuple[Gain, ...]:
    """What pre-training is worth at every number of trajectories that both curves have."""
    there = {point.trajectories: point for point in scratch}
    return tuple(
        _gain(point, there[point.trajectories], scratch)
        for point in pretrained
        if point.trajectories in there
    )


def crossing(pretrained: Sequence[Point], scratch: Sequence[Point]) -> EqualSize | None:
    """From how many trajectories on learning from scratch is as good as from the checkpoint.

    Args:
        pretrained: in the order of its trajectories.
        scratch: likewise; the numbers that both curves have are looked at.

    Returns:
        Where both curves first meet, on straight lines of logarithms (exact); at most the
        first number where scratch is as good there; at least the last where it never is;
        None without a number at which both errors can be compared.
    """
    there = {point.trajectories: point.error for point in scratch}
    leads = [
        (point.trajectories, _lead(point.error, there[point.trajectories]))
        for point in pretrained
        if point.trajectories in there
    ]
    leads = [(size, lead) for size, lead in leads if not math.isnan(lead)]
    if not leads:
        return None
    if leads[0][1] <= 0:
        return EqualSize(trajectories=leads[0][0], bound="at_most")
    for (size, lead), (larger, behind) in pairwise(leads):
        if behind <= 0:
            if math.isinf(lead - behind):  # no line to follow
                return EqualSize(trajectories=larger, bound="at_most")
            share = lead / (lead - behind)
            return EqualSize(trajectories=size * (larger / size) ** share, bound="exact")
    return EqualSize(trajectories=leads[-1][0], bound="at_least")


def _lead(pretrained: float, scratch: float) -> float:
    """Logarithm of how many times less the error from the checkpoint is; NaN if nobody knows."""
    if pretrained == scratch:
        return 0.0 if math.isfinite(scratch) else math.nan
    if math.isinf(scratch) or pretrained == 0:
        return math.inf
    if math.isinf(pretrained) or scratch == 0:
        return -math.inf
    return math.log(scratch / pretrained)


def _point(trajectories: int, errors: Sequence[float]) -> Point:
    spread = None
    if len(errors) > 1 and all(map(math.isfinite, errors)):
        spread = stdev(errors) / math.sqrt(len(errors))
    return Point(
        trajectories=trajectories, error=fmean(errors), standard_error=spread, seeds=len(errors)
    )


def _between(above: Point, below: Point, error: float) -> EqualSize:
    if not math.isfinite(above.error) or below.error == 0:  # no line to follow
        return EqualSize(trajectories=below.trajectories, bound="at_most")
    share = math.log(above.error / error) / math.log(above.error / below.error)
    ratio = below.trajectories / above.trajectories
    return EqualSize(trajectories=above.trajectories * ratio**share, bound="exact")


def _gain(pretrained: Point, scratch: Point, curve: Sequence[Point]) -> Gain:
    equal = equal_size(curve, pretrained.error)
    comparable = pretrained.error > 0 and math.isfinite(pretrained.error)
    return Gain(
        trajectories=pretrained.trajectories,
        pretrained=pretrained,
        scratch=scratch,
        error_factor=scratch.error / pretrained.error if comparable else None,
        equal=equal,
        data_factor=equal.trajectories / pretrained.trajectories if equal else None,
    )
