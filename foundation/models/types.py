"""What a model gives back.

Axes: B samples, T frames, C channels asked, S the grid of one to three axes.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from foundation.moe.router import Routing


@dataclass(frozen=True)
class Prediction:
    """What is asked, and how the blocks routed the batch.

    Attributes:
        fields: (B, T_out, C, *S), in physical units; (B, 0) where none are wanted.
        routing: one entry per block; empty for a dense model.
        class_logits: (B, classes) of the auxiliary head; (B, 0) of a network without one.
        terms: named values per sample (B,), as a residual, that an objective may weigh; the
            same names in every batch.
    """

    fields: Tensor
    routing: tuple[Routing, ...]
    class_logits: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)


class ParameterCounts(NamedTuple):
    """Parameters of a model: all, and those one sample passes."""

    total: int
    activated: int
