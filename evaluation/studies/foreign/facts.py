"""Figures of networks of others beside ours."""

from collections.abc import Iterator

from evaluation.studies.facts import (
    STUDIES,
    Phrase,
    Row,
    geometric_mean,
    on,
    record,
    setup,
    standings_of,
)
from evaluation.studies.sparse.facts import CORPORA, EQUAL, trained_step

README = f"{STUDIES}/foreign/README.md"
_CHOSEN = setup(README, "one rate, 4e-3,")


@on(README)
def beside_ours() -> Iterator[Row | Phrase]:
    learnt = record("foreign/learnt.json")
    seconds = {one["seconds"] for one in learnt.values()}
    yield Phrase("Each is given # s of the processor", sorted(seconds))
    found = {
        (one["model"]["name"], one["task"]["corpus"]): one["scores"]["l2re"]["value"]
        for one in record("foreign/foreign.json")["records"]
    }
    for name, one in learnt.items():
        errors = [found[name, corpus] for corpus in CORPORA.values()]
        sizes = [one["parameters"] / 1e6, one["steps"]]
        yield Row("beside ours", name.upper(), [*sizes, geometric_mean(errors), *errors])
    ours = standings_of(EQUAL)
    means = [ours[m, "mixture_6"]["geometric_mean"]["mean"] for m in ("FNO", "MoE-FNO")]
    yield Phrase("Our FNO has # there and MoE-FNO #", means)
    yield Phrase("1,250 steps of our FNO take # s in training", [1250 * trained_step("nano_fno")])
