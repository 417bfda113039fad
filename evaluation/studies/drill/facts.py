"""Figures of deaths of processes."""

from collections.abc import Iterator

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup

README = f"{STUDIES}/drill/README.md"
_CHOSEN = setup(README, "a checkpoint every 15)")
_STRUCK = {
    "rank 0": "rank 0", "rank 1": "rank 1", "`deepspeed`": "runner",
    "the launcher that it starts": "launcher",
}  # fmt: skip


@on(README)
def kills() -> Iterator[Row | Phrase]:
    trials = record("drill/drill-kills.json")["trials"]
    for label, target in _STRUCK.items():
        came = [one for one in trials if one["target"] == target and one["came"]]
        before = [one for one in came if one["step"] is None]
        finished = [one for one in came if one["code"] == 0]
        equal = [one for one in came if one["difference"] is None]
        yield Row("", label, [len(one) for one in (came, before, finished, equal)])
    yield Phrase("`drill-kills.json`, # trials", [len(trials)])
    assert sum(not one["came"] for one in trials) == 9  # said in words
