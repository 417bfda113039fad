"""Figures of deaths of processes."""

from collections.abc import Iterator
from typing import Any

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup

README = f"{STUDIES}/drill/README.md"
_CHOSEN = setup(
    README,
    *("a checkpoint every 15)", "--hung-after 1.5`, beside"),
    *("(300 steps, a checkpoint every 25)", "(80, every 10)", "(150, every 10)"),
)
_ALONE = [f"drill/one-rank-{seed}.json" for seed in (77, 78, 79, 80, 81)]
_STRUCK = {
    "rank 0": "rank 0", "rank 1": "rank 1", "`deepspeed`": "runner",
    "the launcher that it starts": "launcher",
}  # fmt: skip


@on(README)
def kills() -> Iterator[Row | Phrase]:
    trials = record("drill/drill-kills.json")["trials"]
    for label, target in _STRUCK.items():
        yield _counted(label, [one for one in trials if one["target"] == target])
    yield Phrase("`drill-kills.json`, # trials", [len(trials)])
    assert sum(not one["came"] for one in trials) == 9  # said in words


@on(README)
def kills_of_one_rank() -> Iterator[Row]:
    yield _counted("the one rank", _trials(*_ALONE))


@on(README)
def all_kills() -> Iterator[Phrase]:
    yield Phrase(
        "Both tables together: # kills that came, # of them before the first", _all_equal()
    )


@on("docs/pages/reference/attacks.md")
def all_kills_among_attacks() -> Iterator[Phrase]:
    words = "# kills of ranks and launchers at random moments, # of them before the first step,"
    yield Phrase(words, _all_equal())


def _all_equal() -> list[int]:
    """Kills that came, and those before a step; all ended as if there had been none."""
    came = [one for one in _trials("drill/drill-kills.json", *_ALONE) if one["came"]]
    assert all(one["code"] == 0 and one["difference"] is None for one in came)
    return [len(came), sum(one["step"] is None for one in came)]


def _trials(*names: str) -> list[dict[str, Any]]:
    return [one for name in names for one in record(name)["trials"]]


def _counted(label: str, trials: list[dict[str, Any]]) -> Row:
    came = [one for one in trials if one["came"]]
    before = [one for one in came if one["step"] is None]
    finished = [one for one in came if one["code"] == 0]
    equal = [one for one in came if one["difference"] is None]
    return Row("", label, [len(one) for one in (came, before, finished, equal)])
