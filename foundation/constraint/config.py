"""How an equation is imposed on a network's fields: the part of a model's configuration."""

from math import prod
from typing import Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from data_shards.config import Config, later
from data_shards.errors import unknown_name
from foundation.constraint.levenberg_marquardt import SolverConfig
from foundation.physics.evolution import EVOLUTIONS, Evolution


class ConstraintConfig(Config):
    """Basis fields whose weights solve an equation, in the whole domain or box by box.

    Three arms of one setting: `soft` sums the basis fields up and leaves the equation to the
    loss, `one` solves for one set of weights, `mixture` for one in every box.
    """

    equation: str  # one of `EVOLUTIONS`
    enforced: Literal["soft", "one", "mixture"] = "mixture"
    basis: int = Field(default=16, ge=1, le=64)  # fields whose sum is the answer
    boxes: tuple[PositiveInt, ...] = ()  # of a mixture: along time and each axis, x last
    overlap: NonNegativeInt = 0  # cells and frames that a box goes on beyond its faces
    # What ties boxes at the faces at which they meet: nothing, as published, or the fields of one
    # solve of the whole domain, near which every box is kept there.
    faces: Literal["free", "anchored"] = later("free")
    scattered: bool = False  # points given to as many boxes at random, wherever they lie
    points: PositiveInt | None = None  # per sample at which is solved, over all boxes; None: all
    # Rows of the initial frame and of the ends: of the whole domain in every box, as published,
    # or in those boxes alone in which they lie.
    rows: Literal["whole", "own"] = "whole"
    # Rows of the equation, of the initial frame and of the ends: every row alike, as published, or
    # the mean of every kind, without which few rows at the ends are outvoted.
    weighed: Literal["rows", "kinds"] = "kinds"
    # The initial frame by rows of the least squares (diffusion-sorption as published), or exactly,
    # by basis fields that grow from zero with time (Navier-Stokes as published).
    initial: Literal["rows", "exact"] = "exact"
    scale: PositiveFloat = 1.0  # of the basis fields
    activated: bool = False  # GELU on the basis fields, as published
    ridge: NonNegativeFloat = 1e-4  # weight of a row for every weight, which keeps them unique
    # Of the equation's rows; published are seconds, in which slow equations weigh next to nothing
    # beside their conditions.
    time_unit: Literal["forecast", "second"] = "forecast"
    # Of the loss: derivatives of the boxes' own fields, as published, or those of the fields put
    # together, which see jumps at faces.
    judged: Literal["boxes", "whole"] = "boxes"
    learnt_frames: PositiveInt | None = None  # later ones are solved at test alone; None: all
    solver: SolverConfig = SolverConfig()

    @field_validator("equation")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in EVOLUTIONS:
            raise ValueError(str(unknown_name("equation", name, EVOLUTIONS)))
        return name

    @model_validator(mode="after")
    def _boxes_fit(self) -> Self:
        axes = self.evolution.dimensions + 1
        if self.enforced == "mixture" and len(self.boxes) != axes:
            raise ValueError(
                f"boxes={list(self.boxes)}: {self.equation} wants {axes} numbers, of boxes along "
                "time and space"
            )
        if self.enforced != "mixture" and self.boxes:
            raise ValueError(f"boxes are a mixture's; leave them out of enforced={self.enforced}")
        if self.scattered and (self.overlap or self.faces != "free"):
            raise ValueError("scattered points have no faces; set overlap=0 and faces=free")
        if self.faces != "free" and self.enforced != "mixture":
            raise ValueError(f"faces are a mixture's; leave them out of enforced={self.enforced}")
        if self.faces != "free" and self.num_boxes == 1:
            raise ValueError("one box meets no other; split it, or set faces=free")
        return self

    @property
    def evolution(self) -> Evolution:
        return EVOLUTIONS[self.equation]

    @property
    def splits(self) -> tuple[int, ...]:
        """Boxes along time and each axis of space."""
        return self.boxes or (1,) * (self.evolution.dimensions + 1)

    @property
    def num_boxes(self) -> int:
        return prod(self.splits)
