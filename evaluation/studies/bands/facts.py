"""Figures of what bands of 90 % hold."""

from collections.abc import Iterator
from math import sqrt
from typing import Any

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup

README = f"{STUDIES}/bands/README.md"
CORPORA = {
    "CFDBench": "cfdbench", "NS 1e-3": "fno_ns_1e-3", "NS 1e-5": "fno_ns_1e-5",
    "DR, 91 frames": "pdebench_dr", "SWE, 91 frames": "pdebench_swe",
}  # fmt: skip
LEVEL, TRAJECTORIES = 0.9, 64

_CHOSEN = setup(README, "bands of 90 %", "SWE 2)", "guarantee is .9 to")


@on(README)
def coverage() -> Iterator[Row | Phrase]:
    found = {
        (one["model"]["name"], one["task"]["corpus"]): one["scores"]
        for one in record("bands/nano.json")["records"]
    }
    for label, corpus in CORPORA.items():
        both = [found[model, corpus] for model in ("nano", "persistence")]
        percents = [value for one in both for value in _percents(one["coverage"])]
        yield Row("corpus", label, [*percents, *(one["interval_score"]["value"] for one in both)])
    # Trajectories that are all alike: as many points must lie below as N of N + 1 scores leave.
    most = LEVEL * (TRAJECTORIES + 1) / TRAJECTORIES
    yield Phrase("to # for 64 trajectories", [most])
    between = [
        88 <= _percents(found["nano", corpus]["coverage"])[0] <= 92 for corpus in CORPORA.values()
    ]
    assert (between.count(True), between.count(False)) == (4, 1)
    yield Phrase("Four of the five lie between # and # %", [88, 92])
    above = [
        _above(found[model, "fno_ns_1e-5"]["coverage"], most) for model in ("nano", "persistence")
    ]
    yield Phrase("NS 1e-5 lies # and # standard errors", above)
    yield Phrase("together, above #,", [most])


def _percents(score: Any) -> list[float]:
    return [100 * score["value"], 100 * score["standard_error"]]


def _above(score: Any, most: float) -> float:
    """In standard errors; the calibration's trajectories have as much luck as the test's."""
    return float((score["value"] - most) / (sqrt(2) * score["standard_error"]))
