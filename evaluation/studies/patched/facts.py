"""Figures of MoE-FNO on patches."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from evaluation.studies.baselines.facts import inference
from evaluation.studies.equal_time.facts import few_shots_of
from evaluation.studies.facts import (
    STUDIES,
    Phrase,
    Row,
    geometric_mean,
    on,
    record,
    setup,
    standings_of,
    wins_of,
)
from evaluation.studies.sparse.facts import CORPORA, zero_shot_errors

README = f"{STUDIES}/patched/README.md"
STUDY, OURS = "patched/study.json", "MoE-FNO on patches"
_CHOSEN = setup(
    README,
    "as patches of 2 cells a side",
    "steps 26 to 100",
    "on a grid half as fine",
    "at a quarter of the routed work",
    "20 % were hoped for",
    "Aimed at were .98,",
)


def mean_errors() -> dict[str, float]:
    """Geometric means of the study by model."""
    return {m: one["geometric_mean"]["mean"] for (m, _), one in standings_of(STUDY).items()}


@on(README)
def at_equal_time() -> Iterator[Row | Phrase]:
    found = {model: one for (model, _), one in standings_of(STUDY).items()}
    for model, one in found.items():
        values = [one["steps"], one["geometric_mean"]["mean"], *zero_shot_errors(one)]
        yield Row("at equal time", model, values)
    costs = record("patched/costs.json")["runs"]
    each = [fmean(costs[name][1:]) for name in ("nano_fno", "nano_moe_fno_patched")]
    yield Phrase("takes the FNO # s, this one #", each)
    assert 0.97 < found[OURS]["steps"] * each[1] / (found["FNO"]["steps"] * each[0]) < 1
    won = wins_of(STUDY, OURS, "FNO")
    less = 100 * (1 - mean_errors()[OURS] / mean_errors()["FNO"])
    yield Phrase("# % below the FNO's, better on # of the six, clearly on #",
                 [less, won["better"], won["clearly_better"]])  # fmt: skip
    gas = [found[m]["errors"]["zero_shot_pdebench_cns_m0.1"]["mean"] for m in (OURS, "FNO")]
    yield Phrase("above all of the gas (# %)", [100 * (1 - gas[0] / gas[1])])
    flops = [found[m]["flops_per_frame"] for m in (OURS, "FNO")]
    yield Phrase("A frame takes # times the FNO's FLOPs", [flops[0] / flops[1]])


def _l2re(name: str) -> dict[str, Any]:
    runs = record(f"patched/{name}.json")["runs"]
    return {run: one["l2re"] for run, one in runs.items()}


@on(README)
def routers() -> Iterator[Phrase]:
    trained, fresh = inference("patched/routing.json")
    told = [one["value"] for one in trained]
    words = "by seed #, # and #, fresh weights # (`routing.json`)"
    yield Phrase(words, [*told, fresh["value"]])
    yield Phrase("which their mean of # has", [fmean(told)])


@on(README)
def few_shots() -> Iterator[Phrase]:
    yield from few_shots_of("patched/transfer-fno_ns_1e-4/transfer.json")


def first_seeds() -> list[float]:
    """Geometric means of seed 0: ours, the FNO's."""
    points = record(STUDY)["points"]
    return [
        geometric_mean(one["errors"].values())
        for model in (OURS, "FNO")
        for one in points
        if (one["model"], one["seed"]) == (model, 0)
    ]


@on(README)
def parts_and_routing() -> Iterator[Row | Phrase]:
    for table, name in (("form", "trials"), ("routing", "controls")):
        for label, errors in _l2re(name).items():
            values = [errors[corpus] for corpus in CORPORA.values()]
            yield Row(table, label, [geometric_mean(values), *values])
    routed = {label: geometric_mean(one.values()) for label, one in _l2re("controls").items()}
    preset, still, oracle, none = routed.values()
    assert 0.98 < preset / still < 1  # next to nothing
    yield Phrase("Experts buy # % in so few steps", [100 * (1 - preset / none)])
    yield Phrase("of the routed work, buys # %.", [100 * (1 - oracle / none)])
    oracle_run = record("patched/oracle.json")["records"]
    after = [geometric_mean(one["scores"]["l2re"]["value"] for one in oracle_run), *first_seeds()]
    words = "that one has # on the test trajectories (`oracle.json`), the preset # and the FNO #"
    yield Phrase(words, after)
    gas = _l2re("trials")["width 40, patches, residual"]["pdebench_cns_m0.1"]
    yield Phrase("(# is what repeating the last frame has)", [gas])
