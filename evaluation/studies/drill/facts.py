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
_ALONE = [f"drill/one-rank-{seed}.json" for seed in (77, 78, 79, 80)]
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
    yield _counted("the one rank", [one for name in _ALONE for one in record(name)["trials"]])


def _counted(label: str, trials: list[dict[str, Any]]) -> Row:
    came = [one for one in trials if one["came"]]
    before = [one for one in came if one["step"] is None]
    finished = [one for one in came if one["code"] == 0]
    equal = [one for one in came if one["difference"] is None]
    return Row("", label, [len(one) for one in (came, before, finished, equal)])
