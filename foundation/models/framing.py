"""What is given as a network sees it, and the way back: physical units in, dimensionless out.

Axes: B samples, T frames, C channels given, S the grid of one to three axes.
`target: increment` sees the last frame and the changes that led to it, and
predicts the next change, all in units of the context's own frame-to-frame
change, so that slow and fast flows look alike.
`scales` is for linear equations: multiplying source and coefficients by one
number leaves the solution alone, so all are divided by the source's size, and
what is asked stays in its units. Source: transfer scaling (NeurIPS 2023).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from statistics import median

import torch
from torch import Tensor

from foundation.models.config import SOURCE, FieldConfig, Scales
from foundation.physics.norms import space

_SCALE_FLOOR = 1e-6  # of a constant channel's standard deviation


@dataclass(frozen=True)
class Framed:
    """What is given as a network sees it, and the way back.

    Attributes:
        inputs: (B, T, C, *S), dimensionless if normalised.
        shift, scale: of the prediction, broadcastable to (B, T_out, C_out, *S).
        statistics_B2C: mean and deviation of the context, physical units, or their inverse
            hyperbolic sine; None if not configured.
    """

    inputs: Tensor
    shift: Tensor
    scale: Tensor
    statistics_B2C: Tensor | None


def framed(given: Tensor, config: FieldConfig) -> Framed:
    """Normalise what is given (B, T, C, *S) as configured."""
    zero, one = given.new_zeros(()), given.new_ones(())
    if config.scales is not None:
        return Framed(_by_source(given, config.slots, config.scales), zero, one, None)
    shift, scale = _statistics(given) if config.instance_norm else (zero, one)
    statistics = torch.cat([shift, scale], dim=1).flatten(1) if config.instance_norm else None
    if statistics is not None and config.log_statistics:
        statistics = statistics.asinh()
    inputs = (given - shift) / scale
    if config.target == "increment":
        change = given[:, 1:] - given[:, :-1]
        shift, scale = given[:, -1:], _root_mean_square(change)
        inputs = torch.cat([change / scale, inputs[:, -1:]], dim=1)
    if not config.feeds_back:  # of other channels, whose units these are not
        shift, scale = zero, one
    return Framed(inputs, shift, scale, statistics)


def measured_scales(samples: Iterable[Tensor], slots: Sequence[str]) -> Scales:
    """What is usual in each slot, over samples in physical units.

    Args:
        samples: given fields (T, C, *S), one after the other.
        slots: names of their channels, `source` among them; the others are constant in space.
    """
    sizes: dict[str, list[float]] = defaultdict(list)
    for given in samples:
        for slot, field in zip(slots, given.double().unbind(1), strict=True):
            size = _norm(field[None]) if slot == SOURCE else field.abs().mean()
            sizes[slot].append(float(size))
    return Scales({slot: median(values) for slot, values in sizes.items()})


def _by_source(given: Tensor, slots: Sequence[str], scales: Scales) -> Tensor:
    """All in units of the sample's source, coefficients besides in those of the usual ones."""
    grid = (None,) * len(space(given))
    norm_B = _norm(given[:, :, slots.index(SOURCE)]) / scales.of(SOURCE)
    size_B = torch.where(norm_B > 0, norm_B, 1.0)  # of a source of zeros nothing is known
    usual_C = given.new_tensor([1.0 if slot == SOURCE else scales.of(slot) for slot in slots])
    dimensionless: Tensor = given / size_B[:, None, None, *grid] / usual_C[:, *grid]
    return dimensionless


def _norm(source: Tensor) -> Tensor:
    """Root of the sum of squares of (B, T, *S), times the size of a cell where the domain is 1."""
    return source.flatten(1).square().sum(1).sqrt() / prod(source.shape[2:])


def _statistics(context: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation per sample and channel (B, 1, C, 1, ...)."""
    shift = context.mean((1, *space(context)), keepdim=True)
    return shift, _root_mean_square(context - shift)


def _root_mean_square(fields: Tensor) -> Tensor:
    """Over frames and space, per sample and channel (B, 1, C, 1, ...); never 0."""
    return fields.square().mean((1, *space(fields)), keepdim=True).sqrt() + _SCALE_FLOOR
