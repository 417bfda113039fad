"""A context as a network sees it, and the way back: physical units in, dimensionless fields out.

Axes: B samples, T frames, C channels, H rows, W columns.
`target: increment` sees the last frame and the changes that led to it, and
predicts the next change, all in units of the context's own frame-to-frame
change, so that slow and fast flows look alike.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from foundation.models.config import FieldConfig

_SCALE_FLOOR = 1e-6  # of a constant channel's standard deviation


@dataclass(frozen=True)
class Framed:
    """A context as a network sees it, and the way back.

    Attributes:
        inputs: (B, T, C, H, W), dimensionless if normalised.
        shift, scale: of the prediction, broadcastable to (B, T_out, C, H, W).
        statistics_B2C: mean and deviation of the context, physical units; None if not configured.
    """

    inputs: Tensor
    shift: Tensor
    scale: Tensor
    statistics_B2C: Tensor | None


def framed(context: Tensor, config: FieldConfig) -> Framed:
    """Normalise a context (B, T, C, H, W) as configured."""
    shift, scale = _statistics(context, config)
    out_shift, out_scale, inputs = shift, scale, (context - shift) / scale
    if config.target == "increment":
        change = context[:, 1:] - context[:, :-1]
        out_shift, out_scale = context[:, -1:], _root_mean_square(change)
        inputs = torch.cat([change / out_scale, inputs[:, -1:]], dim=1)
    statistics = torch.cat([shift, scale], dim=1).flatten(1) if config.instance_norm else None
    return Framed(inputs, out_shift, out_scale, statistics)


def _statistics(context: Tensor, config: FieldConfig) -> tuple[Tensor, Tensor]:
    """Mean and deviation per sample and channel (B, 1, C, 1, 1); 0 and 1 if not configured."""
    if not config.instance_norm:
        return context.new_zeros(()), context.new_ones(())
    shift = context.mean((1, 3, 4), keepdim=True)
    return shift, _root_mean_square(context - shift)


def _root_mean_square(fields: Tensor) -> Tensor:
    """Over frames and space, per sample and channel (B, 1, C, 1, 1); never 0."""
    return fields.square().mean((1, 3, 4), keepdim=True).sqrt() + _SCALE_FLOOR
