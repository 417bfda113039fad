"""Figures of networks of others beside ours."""

from collections.abc import Iterator
from math import prod

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup
from evaluation.studies.sparse.facts import CORPORA

README = f"{STUDIES}/foreign/README.md"
_CHOSEN = setup(README, "what 1,250 steps of our FNO take", "One seed, one rate, 4e-3,")


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
        mean = prod(errors) ** (1 / len(errors))
        yield Row(
            "beside ours", name.upper(), [one["parameters"] / 1e6, one["steps"], mean, *errors]
        )
