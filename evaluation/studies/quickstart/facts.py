"""Figures of the recorded quickstart."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, on, record, setup

README = f"{STUDIES}/quickstart/README.md"
# By the clock: `make quickstart` in a clean clone, two shared cores of an AMD EPYC, 24 GiB, no GPU.
SECONDS = {"all": 621, "simulate": 217, "train": 394, "score": 6, "board": 4}
_CHOSEN = setup(README, "list 15 corpora", "two shared cores, 24 GiB", "Seed 0 everywhere")
MODEL = "moe-pot-nano"


def errors() -> tuple[dict[str, float], dict[str, float]]:
    """L2RE of the model and of the better floor, by corpus."""
    found: dict[str, dict[str, float]] = {}
    for one in record("quickstart/nano.json")["records"]:
        value = one["scores"]["l2re"]["value"]
        found.setdefault(one["model"]["name"], {})[one["task"]["corpus"]] = value
    ours = found.pop(MODEL)
    return ours, {corpus: min(floor[corpus] for floor in found.values()) for corpus in ours}


@on(README)
def seconds() -> Iterator[Phrase]:
    yield Phrase("# s after the install", [SECONDS["all"]])
    yield Phrase("(# s to simulate", [SECONDS["simulate"]])
    yield Phrase("# s to train, # s to score, # s for the board)", list(SECONDS.values())[2:])
