"""Figures of networks of others beside nano."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, on
from evaluation.studies.quickstart.facts import SECONDS


@on(f"{STUDIES}/foreign/README.md")
def time() -> Iterator[Phrase]:
    yield Phrase("# s is what nano trains", [SECONDS["train"]])
