"""Figures of forecasts of strangers."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Row, on, record


@on(f"{STUDIES}/strangers/README.md")
def strangers() -> Iterator[Row]:
    found = [record(f"strangers/seed{seed}.json")["shares"] for seed in (0, 1)]
    yield Row("", "right, by the rule of now", [one["right"] for one in found])
    before = "right, by the rule before (one step, and routers)"
    yield Row("", before, [one["right_old"] for one in found])
