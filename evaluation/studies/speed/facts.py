"""Figures of speed."""

from collections.abc import Iterator
from math import sqrt
from statistics import fmean, median

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup
from evaluation.studies.sparse.facts import CORPORA

README = f"{STUDIES}/speed/README.md"
_ALL, _LAST = slice(None), slice(-5, None)  # of 20 logged steps

_CHOSEN = setup(
    README,
    "steps 26 to 75 of two runs",
    "500 steps of 16",
    "a way is called twice",
    "in the last quarter",
    "was to take 1.6 times its FLOPs",
)


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
    missed = {
        one["name"]: [one["value"], one["goal"]["bound"]]
        for one in record("speed/ratios.json")["figures"]
        if one["goal"] and one["goal"]["at_least"] and one["value"] < one["goal"]["bound"]
    }
    step, mixture = "tiny, batch 8, whole step: ", "mixture, batch 20, width 512: "
    for words, name in (
        (
            "(# for #) and of a step of tiny",
            f"{mixture}all experts / ours, fp32",
        ),
        ("over float32 (# for #)", f"{step}fp32 / bf16"),
        ("over the yardstick (# for #)", f"{step}published fp32 / ours bf16"),
        ("a block of medium (# for #)", "medium, batch 8, a block: published fp32 / ours fp32"),
    ):
        yield Phrase(words, missed.pop(name))
    assert not missed


@on(README)
def determinism() -> Iterator[Phrase]:
    found = record("speed/determinism.json")
    plain, repeated = (
        fmean(seconds for run in runs for seconds in run[1:]) for runs in found["runs"].values()
    )
    yield Phrase("costs # % of a step of nano on one core", [100 * (repeated / plain - 1)])
    assert len(set(found["last_loss"].values())) == 1


@on(README)
def versions() -> Iterator[Row]:
    for label, one in zip(
        ("before", "after"), record("speed/versions.json")["versions"], strict=True
    ):
        yield Row(
            "seconds a step", label, [median(one["seconds"][way]) for way in ("fp32", "bf16")]
        )
    step, mixture = "tiny, batch 8, whole step: ", "mixture, batch 20, width 512: "
    turns = record("speed/turns.json")["turns"]
    for label, name in (
        ("mixture: all experts over ours", f"{mixture}all experts / ours, fp32"),
        ("mixture: ours over one product", f"{mixture}ours / one product, fp32"),
        ("step of tiny: float32 over bf16", f"{step}fp32 / bf16"),
        ("step of tiny: yardstick over float32", f"{step}published fp32 / ours fp32"),
        ("step of tiny: yardstick over bf16", f"{step}published fp32 / ours bf16"),
        ("step of tiny in bf16 over its FLOPs at peak", f"{step}bf16 / its FLOPs at peak"),
        (
            "block of medium: yardstick over ours",
            "medium, batch 8, a block: published fp32 / ours fp32",
        ),
        (
            "forecast of tiny: yardstick over ours",
            "tiny, batch 1, inference: published fp32 / ours fp32",
        ),
    ):
        of_commit: dict[str, list[float]] = {}  # in the order of time
        for turn in turns:
            of_commit.setdefault(turn["commit"], []).extend(turn["rounds"][name])
        yield Row("ratio", label, [median(rounds) for rounds in of_commit.values()])
