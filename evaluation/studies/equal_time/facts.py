"""Figures of networks at equal processor time, ours and those of others."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from evaluation.breakeven.record import BreakEven
from evaluation.studies.baselines.facts import few_shot_gains, inference
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

README = f"{STUDIES}/equal_time/README.md"
EQUAL = "equal_time/study.json"
_BESIDE = {
    "FNO": "# % below the FNO's, and it is better on # of the six, clearly on #;",
    "U-Net": "# % below the U-Net's (#, #)",
    "DPOT": "# % below DPOT's (#, #)",
    "MoE-POT": "# % below MoE-POT's (#, #)",
}
_CHOSEN = setup(
    README,
    "one rate, 4e-3,",
    "At equal steps, 1,250 of each",
    "behind MoE-FNO after 1,110",
    "and 20 % is not to be had",
    "where the 91 frames of",
    "A step of 16 in training (`costs.json`: 50 steps less 10,",
    "20 % below the FNO's were hoped for",
    "(of the U-Net, all 500)",
    "reaches the .98 that",
    "At 2.4e-2 gases",
    "Bands of 90 % cover",
)


@on(README)
def at_equal_time() -> Iterator[Row | Phrase]:
    found = {model: one for (model, _), one in standings_of(EQUAL).items()}
    for model, one in found.items():
        values = [one["steps"], one["geometric_mean"]["mean"], *zero_shot_errors(one)]
        yield Row("at equal time", model, values)
    trained = [trained_step(f"nano_{name}") for name in ("fno", "moe_fno", "unet", "dpot")]
    yield Phrase("takes the FNO # s, MoE-FNO #, the U-Net # and DPOT #", trained)
    steps = record("sparse/layers.json")["steps"]
    alone = [steps[f"nano{name}"]["of_dense"] for name in ("_moe_fno", "_unet", "_dpot", "")]
    yield Phrase("MoE-FNO takes # times the FNO's, the U-Net #, DPOT # and MoE-POT #", alone)
    yield Phrase("repeating the last frame has #", [floor_at_equal_time()])
    ranks = {model: one["mean_rank"]["mean"] for model, one in found.items()}
    assert min(ranks, key=lambda model: ranks[model]) == "MoE-FNO"
    yield Phrase("first in mean rank, # to the FNO's #", [ranks["MoE-FNO"], ranks["FNO"]])
    flops = {model: one["flops_per_frame"] for model, one in found.items()}
    as_many = [
        1250 * flops["FNO"] / flops[model] for model in ("MoE-FNO", "MoE-POT", "DPOT", "U-Net")
    ]
    yield Phrase("MoE-FNO would have # steps, MoE-POT #, DPOT # and the U-Net #", as_many)
    for other, words in _BESIDE.items():
        won = wins_of(EQUAL, "MoE-FNO", other)
        less = 100 * (1 - _mean(found["MoE-FNO"]) / _mean(found[other]))
        yield Phrase(words, [less, won["better"], won["clearly_better"]])


@on(README)
def rates_at_equal_time() -> Iterator[Row]:
    found = record("equal_time/rates.json")["runs"]
    for model in ("MoE-FNO", "FNO", "U-Net", "DPOT", "MoE-POT"):
        runs = [found.get(f"{model}, {rate}") for rate in ("3e-3", "6e-3", "1.2e-2", "2.4e-2")]
        errors = [run["l2re"].values() for run in runs if run]
        yield Row("rate", model, [geometric_mean(one) for one in errors])


@on(README)
def what_routing_buys() -> Iterator[Row | Phrase]:
    runs = record("equal_time/controls.json")["runs"]
    means = {name: geometric_mean(run["l2re"].values()) for name, run in runs.items()}
    for name, run in runs.items():
        errors = [run["l2re"][corpus] for corpus in CORPORA.values()]
        yield Row("routing, 400 steps", name, [means[name], *errors])
    oracle, preset = means["1 of 16, by corpus (oracle)"], means["4 of 16, learnt (the preset)"]
    learnt, chance, plain = (
        means[name] for name in ("1 of 16, learnt", "1 of 16, by chance", "no experts: the FNO")
    )
    less = [100 * (1 - oracle / plain), 100 * (1 - oracle / preset)]
    yield Phrase("given by its corpus, is # % below the FNO, and # % below the preset", less)
    more = [100 * (learnt / plain - 1), 100 * (chance / plain - 1)]
    yield Phrase("one expert a sample is # % above the FNO, drawn by chance # %", more)
    assert preset < min(means["8 of 16, learnt"], means["4 of 32, learnt"])


@on(README)
def at_other_budgets() -> Iterator[Row | Phrase]:
    (unet,) = standings_of("equal_time/unet.json").values()
    seconds = unet["processor_seconds"]["mean"]
    words = "the U-Net comes to # (`unet.json`, one seed, # s of the processor)"
    yield Phrase(words, [_mean(unet), seconds])
    name = "equal_time/longer.json"
    found = {model: one for (model, _), one in standings_of(name).items()}
    for model, one in found.items():
        yield Row("2,500 steps", model, [_mean(one), *zero_shot_errors(one)])
    less = 100 * (1 - _mean(found["MoE-FNO"]) / _mean(found["FNO"]))
    better = wins_of(name, "MoE-FNO", "FNO")["better"]
    yield Phrase("MoE-FNO is # % below the FNO, better on # of the six:", [less, better])
    (same_seed,) = (
        one["errors"]["zero_shot_pdebench_swe"]
        for one in record(EQUAL)["points"]
        if (one["model"], one["seed"]) == ("MoE-FNO", 0)
    )
    yield Phrase("(# with the same seed at 1,110)", [same_seed])


@on(README)
def few_shots() -> Iterator[Phrase]:
    yield from few_shots_of("equal_time/transfer-fno_ns_1e-4/transfer.json")
    of_moe_pot = few_shot_gains()[:3]  # of the same corpus, its first
    yield Phrase("MoE-POT has # to # here", [min(of_moe_pot), max(of_moe_pot)])


def few_shots_of(name: str) -> Iterator[Phrase]:
    """Errors from a checkpoint and from scratch by three numbers of trajectories, and the gain."""
    curves = record(name)["curves"]
    tuned, scratch = (
        [point["error"] for point in curves[kind]] for kind in ("pretrained", "scratch")
    )
    yield Phrase("is learnt to #, # and #, from scratch to #, # and #:", [*tuned, *scratch])
    gains = [other / own for own, other in zip(tuned, scratch, strict=True)]
    yield Phrase("# to # times less error", [min(gains), max(gains)])


@on(README)
def routers() -> Iterator[Phrase]:
    trained, fresh = inference("equal_time/routing.json")
    values = [*(one["value"] for one in trained), fresh["value"]]
    yield Phrase("by seed #, # and #, fresh weights #", values)


@on(README)
def one_board() -> Iterator[Phrase]:
    covered: dict[str, list[float]] = {}
    for one in record("equal_time/bands.json")["records"]:
        share = 100 * one["scores"]["coverage"]["value"]
        covered.setdefault(one["model"]["name"], []).append(share)
    least_and_most = [
        value
        for name in ("MoE-FNO, seed 0", "FNO, seed 0")
        for value in (min(covered[name]), max(covered[name]))
    ]
    words = "# to # % of the points of test trajectories with MoE-FNO and # to # % with the FNO"
    yield Phrase(words, least_and_most)
    found = BreakEven.model_validate(record("equal_time/breakeven.json"))
    after = {cost.corpus: cost.after(found.upfront) for cost in found.costs}
    paying = [after[CORPORA[name]] for name in ("CFDBench", "NS 1e-3", "NS 1e-5")]
    assert sum(map(isfinite, after.values())) == len(paying)
    yield Phrase("after # forecasts of CFDBench, # of NS 1e-3 and # of NS 1e-5", paying)
    yield Phrase("(# s by the clock, beside other work)", [found.training.seconds])


def floor_at_equal_time() -> float:
    """Geometric mean of persistence on the same trajectories."""
    records = record("equal_time/study-runs.json")["records"]
    return geometric_mean(
        one["scores"]["l2re"]["value"] for one in records if one["model"]["name"] == "persistence"
    )


def trained_step(preset: str) -> float:
    """Processor seconds of a step in training, what a run begins and ends with left out."""
    run = record("equal_time/costs.json")["runs"][preset]
    return float(run["50"] - run["10"]) / 40


def _mean(standing: Any) -> float:
    return float(standing["geometric_mean"]["mean"])


@on(README)
def beside_ours() -> Iterator[Row | Phrase]:
    learnt = record("equal_time/learnt.json")
    seconds = {one["seconds"] for one in learnt.values()}
    yield Phrase("Each is given # s of the processor", sorted(seconds))
    sizes = [one["parameters"] / 1e6 for one in learnt.values()]
    yield Phrase("of # to # M parameters", [min(sizes), max(sizes)])
    found = {
        (one["model"]["name"], one["task"]["corpus"]): one["scores"]["l2re"]["value"]
        for one in record("equal_time/foreign.json")["records"]
    }
    for name, one in learnt.items():
        errors = [found[name, corpus] for corpus in CORPORA.values()]
        sizes = [one["parameters"] / 1e6, one["steps"]]
        yield Row("beside ours", name.upper(), [*sizes, geometric_mean(errors), *errors])
    ours = standings_of(EQUAL)
    means = [ours[m, "mixture_6"]["geometric_mean"]["mean"] for m in ("FNO", "MoE-FNO")]
    yield Phrase("Our FNO has # and MoE-FNO #", means)
    yield Phrase("1,250 steps of our FNO take # s in training", [1250 * trained_step("nano_fno")])
