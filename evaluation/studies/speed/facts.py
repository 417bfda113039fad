"""Figures of speed."""

from collections.abc import Iterator
from math import sqrt
from statistics import fmean

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup
from evaluation.studies.sparse.facts import CORPORA

README = f"{STUDIES}/speed/README.md"
_ALL, _LAST = slice(None), slice(-5, None)  # of 20 logged steps

_CHOSEN = setup(README, "500 steps of 16", "a way is called twice", "in the last quarter")


@on(README)
def bf16() -> Iterator[Row | Phrase]:
    runs = record("speed/precision.json")["runs"]
    for name, run in runs.items():
        assert run["validated_at"] == 500
        errors = [run["l2re"][corpus] for corpus in CORPORA.values()]
        yield Row("validation L2RE after 500 steps", name, errors)
    plain, rounded, other = (
        runs[name]["losses"] for name in ("float32, seed 0", "bf16, seed 0", "float32, seed 1")
    )
    yield Phrase(
        "loss of every #th step: # % below float32 in the mean, # % in the last quarter, "
        "# % apart in the root mean square; two seeds in float32 are # % apart",
        [
            runs["bf16, seed 0"]["steps"][0],
            *(100 * (1 - fmean(rounded[part]) / fmean(plain[part])) for part in (_ALL, _LAST)),
            *(100 * _apart(losses, plain) for losses in (rounded, other)),
        ],
    )


def _apart(ours: list[float], theirs: list[float]) -> float:
    """Root mean square of the relative differences of two curves."""
    return sqrt(fmean((a / b - 1) ** 2 for a, b in zip(ours, theirs, strict=True)))


@on(README)
def yardstick() -> Iterator[Phrase]:
    found = {one["name"]: one["value"] for one in record("speed/ratios.json")["figures"]}
    theirs = found["tiny, batch 8, whole step: the authors' code fp32 / published fp32"]
    yield Phrase("# times the yardstick's seconds", [theirs])
