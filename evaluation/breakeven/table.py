"""Break-even as people read it: a record in, cells and sentences out."""

import math

from evaluation.breakeven.matched import breakeven
from evaluation.breakeven.record import BreakEven, CorpusCost
from evaluation.records.table import markdown_table, number

TITLES = (
    *("Corpus", "Model's L2RE", "Solver as good", "Its seconds", "Forecast's", "Times cheaper"),
    *("Pays after", "With pre-training"),
)
LEAD = (
    "Forecasts after which a training has repaid what it and its data cost, beside the corpus's "
    "own solver on the coarser grid that errs as much as the model (after arXiv 2605.15399). "
    "Seconds are those of one core, of the frames that a forecast has. Never: a forecast "
    "costs no less than such a solve."
)


def cells(found: BreakEven, cost: CorpusCost) -> list[str]:
    """One corpus, in the order of `TITLES`."""
    solver = cost.matched
    where = {"between": "", "coarsest": " or fewer", "finest": ", its own"}[solver.place]
    cheaper = solver.seconds / cost.forecast_seconds if cost.forecast_seconds else math.inf
    return [
        cost.corpus,
        number(cost.model_error),
        f"{solver.cells:.0f} cells{where}",
        number(solver.seconds),
        number(cost.forecast_seconds),
        number(cheaper, digits=2),
        count(cost.after(found.upfront)),
        "–" if found.base is None else count(cost.after(found.with_base)),
    ]


def together(found: BreakEven) -> list[str] | None:
    """Forecasts of all corpora in equal parts; None of a single corpus."""
    if len(found.costs) < 2:
        return None
    solver = sum(cost.matched.seconds for cost in found.costs) / len(found.costs)
    forecast = sum(cost.forecast_seconds for cost in found.costs) / len(found.costs)
    return [
        "all, in equal parts",
        "",
        "",
        number(solver),
        number(forecast),
        number(solver / forecast, digits=2) if forecast else "–",
        count(breakeven(found.upfront, solver, forecast)),
        "–" if found.base is None else count(breakeven(found.with_base, solver, forecast)),
    ]


def rows(found: BreakEven) -> list[list[str]]:
    """All corpora, and all together."""
    whole = together(found)
    return [*(cells(found, cost) for cost in found.costs), *([] if whole is None else [whole])]


def spent(found: BreakEven) -> str:
    """What is to be repaid, as a sentence."""
    own = found.training
    told = (
        f"{found.model}: {number(own.seconds)} s of training ({own.steps} steps, "
        f"{own.ranks} rank{'s' * (own.ranks > 1)}, {own.trials} trial{'s' * (own.trials > 1)}) and "
        f"{number(own.data_seconds)} s of simulating {sum(own.trajectories.values())} trajectories"
    )
    if found.base is not None:
        told += f"; before it {number(found.base.total)} s of pre-training {found.base.run}"
    return f"{told}."


def breakeven_table(found: BreakEven) -> str:
    """A record for a terminal."""
    return f"{spent(found)}\n\n{markdown_table(TITLES, rows(found))}"


def count(forecasts: float) -> str:
    """A number of forecasts as people write it."""
    if math.isinf(forecasts):
        return "never"
    return f"{forecasts:,.0f}".replace(",", " ")
