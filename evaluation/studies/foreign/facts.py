"""Figures of networks of others beside nano."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Said, on
from evaluation.studies.quickstart.facts import SECONDS


@on(f"{STUDIES}/foreign/README.md")
def time() -> Iterator[Said]:
    yield Said("# s is what nano trains", [SECONDS["train"]])
