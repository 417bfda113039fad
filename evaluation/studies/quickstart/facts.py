"""Figures of the recorded quickstart."""

from collections.abc import Iterator
from math import isfinite
from statistics import fmean

from evaluation.breakeven.record import BreakEven
from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup
from evaluation.studies.sparse.facts import CORPORA

README = f"{STUDIES}/quickstart/README.md"
_CHOSEN = setup(README, "list 15 corpora", "two shared cores, 24 GiB", "Seed 0 everywhere")
MODEL = "nano_moe_fno_patched"
SCORES = f"quickstart/{MODEL}.json"


def errors() -> tuple[dict[str, float], dict[str, float]]:
    """L2RE of the model and of the better floor, by corpus."""
    found: dict[str, dict[str, float]] = {}
    for one in record(SCORES)["records"]:
        value = one["scores"]["l2re"]["value"]
        found.setdefault(one["model"]["name"], {})[one["task"]["corpus"]] = value
    ours = found.pop(MODEL)
    return ours, {corpus: min(floor[corpus] for floor in found.values()) for corpus in ours}


def took() -> dict[str, int]:
    """Seconds of its steps, by the clock, as it leaves them in its folder."""
    seconds: dict[str, int] = record("quickstart/seconds.json")
    return seconds


@on(README)
def seconds() -> Iterator[Phrase]:
    found = took()
    yield Phrase("# s after the install", [found["all"]])
    yield Phrase("(# s to simulate", [found["simulate"]])
    rest = [found[step] for step in ("train", "score", "board")]
    yield Phrase("# s to train, # s to score, # s for the board)", rest)


@on(README)
def when_it_pays() -> Iterator[Row | Phrase]:
    found = BreakEven.model_validate(record("quickstart/breakeven.json"))
    costs = {cost.corpus: cost for cost in found.costs}
    training = found.training
    yield Phrase("the # s of its steps on two ranks", [training.seconds])
    yield Phrase("the # s of simulating", [training.data_seconds])
    cheaper = []
    for label, corpus in CORPORA.items():
        cost, after = costs[corpus], costs[corpus].after(found.upfront)
        values = [cost.model_error, cost.matched.cells, cost.matched.seconds, cost.forecast_seconds]
        yield Row("", label, [*values, *([after] if isfinite(after) else [])])
        if isfinite(after):
            cheaper.append(cost.matched.seconds / cost.forecast_seconds)
    yield Phrase("It is # to # times cheaper where", [min(cheaper), max(cheaper)])
    solver = fmean(cost.matched.seconds for cost in found.costs)
    forecast = fmean(cost.forecast_seconds for cost in found.costs)
    yield Phrase("forecasts are # % dearer in the mean", [100 * (forecast / solver - 1)])
