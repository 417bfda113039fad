"""What `foundation breakeven` finds: all that was measured, and what follows from it."""

import math
from typing import Literal

from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt

from data_shards.config import Config
from data_shards.errors import UserError
from evaluation.breakeven.matched import Matched, SolverRun, breakeven, matched
from evaluation.records.kinds import Kind
from evaluation.records.record import Machine


class _Stored(Config):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Training(_Stored):
    """What a training took, data included, in seconds of one core."""

    run: str  # training folder
    steps: NonNegativeInt
    ranks: PositiveInt
    seconds: NonNegativeFloat  # of all ranks together, times their price
    trials: PositiveInt = 1  # trainings like it that its settings took
    trajectories: dict[str, NonNegativeInt]  # corpus -> learnt from
    data_seconds: NonNegativeFloat  # of simulating these

    @property
    def total(self) -> float:
        """Of data once and of all trials."""
        return self.data_seconds + self.trials * self.seconds


class CorpusCost(_Stored):
    """A model beside the solver of one corpus."""

    corpus: str
    frames: PositiveInt  # that a forecast has
    trajectories: PositiveInt  # judged
    model_error: float  # L2RE
    forecast_seconds: NonNegativeFloat  # of one trajectory
    solver: tuple[SolverRun, ...]  # on rising grids, the last is the corpus's

    @property
    def matched(self) -> Matched:
        return matched(self.solver, self.model_error)

    def after(self, upfront: float) -> float:
        """Forecasts of this corpus alone that repay a cost; inf: never."""
        return breakeven(upfront, self.matched.seconds, self.forecast_seconds)


class BreakEven(_Stored):
    """One model."""

    format: Literal["foundation-breakeven"] = "foundation-breakeven"
    version: Literal[1] = 1
    model: str
    fingerprint: str
    training: Training
    base: Training | None = None  # the pre-training that this one goes on from
    rank_price: float  # seconds of a core that one of a training rank is worth
    costs: tuple[CorpusCost, ...]
    date: str
    commit: str
    machine: Machine

    @property
    def upfront(self) -> float:
        """Seconds of this training alone."""
        return self.training.total

    @property
    def with_base(self) -> float:
        """And of the pre-training before it."""
        return self.upfront + (0.0 if self.base is None else self.base.total)


def _check(found: BreakEven, where: str) -> None:
    for cost in found.costs:
        if len(cost.solver) < 2 or math.isnan(cost.model_error):
            raise UserError(f"{where}: {cost.corpus} is not compared with a solver; measure again")


BREAK_EVENS = Kind(BreakEven, _check, "measure again with foundation breakeven")
