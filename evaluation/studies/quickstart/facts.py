"""Figures of the recorded quickstart."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, on, record, setup

README = f"{STUDIES}/quickstart/README.md"
_CHOSEN = setup(README, "list 15 corpora", "two shared cores, 24 GiB", "Seed 0 everywhere")
MODEL = "nano_moe_fno"
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
