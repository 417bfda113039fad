"""A solver as good as a model, and when the model has repaid its cost. Pure.

Source: "Breakeven complexity", arXiv 2605.15399: the number of forward solves from which on a
learned solver, what was spent beforehand on data, training and tuning included, costs less than a
classical one of the same error; errors are matched by interpolating the classical solver's cost
over its resolution. Departure: seconds of processors at a price, no split of a budget by scaling
laws: the model is there already.
"""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt

from data_shards.config import Config

Place = Literal["between", "coarsest", "finest"]


class SolverRun(Config):
    """A solver on some grid, mean over trajectories."""

    cells: PositiveInt  # along x
    seconds: float  # of one core, for the frames that a forecast has
    error: NonNegativeFloat  # L2RE against the corpus; inf where runs break down


class Matched(Config):
    """What a solver of some error costs."""

    seconds: float
    cells: float  # along x; between those of two runs
    place: Place  # finest: no coarser grid is as good; coarsest: the coarsest tried errs less


def matched(runs: Sequence[SolverRun], error: float) -> Matched:
    """The cheapest solver that errs no more than a model does.

    Between two grids seconds and cells are power laws of the error.

    Args:
        runs: on rising grids, two or more; the last one is that of the corpus.
        error: of the model.
    """
    finest = Matched(seconds=runs[-1].seconds, cells=runs[-1].cells, place="finest")
    good = [number for number, run in enumerate(runs[:-1]) if run.error <= error]
    if not good:
        return finest
    first = good[0]
    better = runs[first]
    if first == 0:
        return Matched(seconds=better.seconds, cells=better.cells, place="coarsest")
    worse = runs[first - 1]
    if not math.isfinite(worse.error) or better.error == 0:
        return Matched(seconds=better.seconds, cells=better.cells, place="between")
    share = math.log(worse.error / error) / math.log(worse.error / better.error)
    return Matched(
        seconds=_power(worse.seconds, better.seconds, share),
        cells=_power(worse.cells, better.cells, share),
        place="between",
    )


def breakeven(upfront: float, solver: float, forecast: float) -> float:
    """Forecasts after which a model has repaid its cost; inf if one costs what a solve costs.

    Args:
        upfront: seconds spent before the first forecast.
        solver: seconds of the matched solver for one trajectory.
        forecast: seconds of a forecast of one.
    """
    saved = solver - forecast
    return math.ceil(upfront / saved) if saved > 0 else math.inf


def _power(low: float, high: float, share: float) -> float:
    return math.exp(math.log(low) + share * math.log(high / low))
