"""Figures of what bands of 90 % hold."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup

README = f"{STUDIES}/bands/README.md"
CORPORA = {
    "CFDBench": "cfdbench", "NS 1e-3": "fno_ns_1e-3", "NS 1e-5": "fno_ns_1e-5",
    "CNS": "pdebench_cns_m0.1", "DR, 91 frames": "pdebench_dr", "SWE, 91 frames": "pdebench_swe",
}  # fmt: skip
LEVEL, TRAJECTORIES = 0.9, 64
MODELS = ("moe-fno-nano", "persistence")

_CHOSEN = setup(
    README, "bands of 90 %", "guarantee is .9 to", "one time in 64", "lie above .914, four"
)


@on(README)
def coverage() -> Iterator[Row | Phrase]:
    found = {
        (one["model"]["name"], one["task"]["corpus"]): one["scores"]
        for one in record("bands/moe-fno-nano.json")["records"]
    }
    for label, corpus in CORPORA.items():
        both = [found[model, corpus] for model in MODELS]
        percents = [value for one in both for value in _percents(one["coverage"])]
        yield Row("corpus", label, [*percents, *(one["interval_score"]["value"] for one in both)])
    # Trajectories that are all alike: as many points must lie below as N of N + 1 scores leave.
    most = LEVEL * (TRAJECTORIES + 1) / TRAJECTORIES
    yield Phrase("to # for 64 trajectories", [most])
    ours = [_percents(found[MODELS[0], corpus]["coverage"])[0] for corpus in CORPORA.values()]
    yield Phrase("# of the six lie between # and # %", [sum(88 <= x <= 92 for x in ours), 88, 92])
    above = {
        corpus: [_above(found[model, corpus]["coverage"], most) for model in MODELS]
        for corpus in CORPORA.values()
    }
    assert max(above, key=lambda corpus: above[corpus][0]) == "pdebench_swe"
    yield Phrase("SWE lies farthest, # and # standard errors", above["pdebench_swe"])
    yield Phrase("together, above #,", [most])


def _percents(score: Any) -> list[float]:
    return [100 * score["value"], 100 * score["standard_error"]]


def _above(score: Any, most: float) -> float:
    """In standard errors; the calibration's trajectories have as much luck as the test's."""
    return float((score["value"] - most) / (sqrt(2) * score["standard_error"]))
