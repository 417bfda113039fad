"""Learning rates by name: a step in, the rate out; nothing is stored.

Source: MoE-POT trains with torch's OneCycleLR (cosine, two phases; it cycles the momentum, too,
unless told not to: .95 to .85 and back), transfer
scaling (NeurIPS 2023) with its CosineAnnealingLR. These are their closed forms,
so that a resumed run needs no scheduler state.
"""

from math import cos, pi
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, Tag

from data_shards.config import Config, later

Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]


class OneCycle(Config):
    """Rise from `peak / div` to the peak, then fall to `peak / div / final_div`."""

    kind: Literal["one_cycle"] = later("one_cycle")
    warmup_fraction: float = Field(default=0.2, gt=0.0, lt=1.0)
    div: PositiveFloat = 1e4
    final_div: PositiveFloat = 1e4
    # First beta of Adam where the rate is lowest and where it is highest; None: the optimiser's.
    momentum: tuple[Momentum, Momentum] | None = later(None)

    def beta_at(self, step: int, steps: int, beta: float) -> float:
        """First beta of a step: it falls where the rate rises, by the same curve.

        Args:
            step, steps: as for `at`.
            beta: of the optimiser, which holds where nothing cycles.
        """
        if self.momentum is None:
            return beta
        slow, fast = self.momentum
        top = self.warmup_fraction * steps - 1
        if step <= top:
            return _cosine(slow, fast, step / top if top > 0 else 1.0)
        return _cosine(fast, slow, (step - top) / max(steps - 1 - top, 1e-9))

    def at(self, step: int, steps: int, peak: float) -> float:
        """Learning rate of optimiser step number `step` of `steps`, counted from 0.

        Args:
            step: 0 .. steps - 1.
            steps: of the whole run.
            peak: highest rate.
        """
        start, end = peak / self.div, peak / self.div / self.final_div
        top = self.warmup_fraction * steps - 1
        if step <= top:
            return _cosine(start, peak, step / top if top > 0 else 1.0)
        return _cosine(peak, end, (step - top) / max(steps - 1 - top, 1e-9))


class Cosine(Config):
    """Fall from the peak to `final_lr`, which the step after the last would have."""

    kind: Literal["cosine"] = "cosine"
    final_lr: NonNegativeFloat = 0.0
    warmup_steps: NonNegativeInt = 0  # optimiser steps of a linear rise before it

    def beta_at(self, step: int, steps: int, beta: float) -> float:
        """First beta of a step: that of the optimiser."""
        return beta

    def at(self, step: int, steps: int, peak: float) -> float:
        """Learning rate of a step, as `OneCycle.at`."""
        if step < self.warmup_steps:
            return peak * (step + 1) / (self.warmup_steps + 1)
        return _cosine(
            peak, self.final_lr, (step - self.warmup_steps) / (steps - self.warmup_steps)
        )


def come_down(schedule: OneCycle | Cosine, steps: int) -> int:
    """The first step after the highest rate that has at most half of it; `steps` if none has."""
    rates = [schedule.at(step, steps, 1.0) for step in range(steps)]
    top = rates.index(max(rates))
    return next((step for step in range(top, steps) if rates[step] <= rates[top] / 2), steps)


def _kind(value: Any) -> Any:
    """Runs of before `kind` was a key are of one cycle."""
    if isinstance(value, dict):
        return value.get("kind", "one_cycle")
    return getattr(value, "kind", None)


Schedule = Annotated[
    Annotated[OneCycle, Tag("one_cycle")] | Annotated[Cosine, Tag("cosine")],
    Discriminator(
        _kind,
        custom_error_type="schedule_kind",
        custom_error_message="wanted a schedule of kind one_cycle or cosine",
    ),
]


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2 * (1 + cos(pi * min(max(fraction, 0.0), 1.0)))
