"""Figures of MoE-FNO on patches."""

from collections.abc import Iterator
from statistics import fmean, median
from typing import Any

from evaluation.studies.baselines.facts import inference
from evaluation.studies.equal_time.facts import EQUAL, few_shots_of
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
STUDY, OURS, TWIN = "patched/study.json", "MoE-FNO on patches", "dense twin"
STEPS, FLOPS = "as many steps", "as many FLOPs"
_OTHERS = ("FNO", "MoE-POT", "DPOT", "U-Net")  # as in the study at equal time
_CHOSEN = setup(
    README,
    "as patches of 2 cells a side",
    "on a grid half as fine",
    "twice 75 and once 100 steps",
    "Aimed at were .98",
    "20 % were hoped for",
    "for 400 frames after",
    "8 test trajectories",
)


def mean_errors() -> dict[str, float]:
    """Geometric means of the study by model."""
    return {m: one["geometric_mean"]["mean"] for (m, _), one in standings_of(STUDY).items()}


@on(README)
def budgets() -> Iterator[Row | Phrase]:
    found = {model: one for (model, _), one in standings_of(STUDY).items()}
    for model, one in found.items():
        values = [one["steps"], one["geometric_mean"]["mean"], *zero_shot_errors(one)]
        yield Row("budget", model, values)
    costs = record("patched/costs.json")["runs"]
    each = {name: median(costs[name]) for name in ("FNO", OURS, TWIN)}
    yield Phrase("the FNO # s, this one #, its dense twin #", list(each.values()))
    points = record(STUDY)["points"]
    took = {
        name: fmean(one["processor_seconds"] for one in points if one["model"] == name)
        for name in each
    }
    yield Phrase("all their steps then took # s, # and #", list(took.values()))
    assert max(took[OURS], took[TWIN]) <= took["FNO"]
    won = wins_of(STUDY, OURS, "FNO")
    less = 100 * (1 - mean_errors()[OURS] / mean_errors()["FNO"])
    yield Phrase("# % below the FNO's, better on # of the six, clearly on #",
                 [less, won["better"], won["clearly_better"]])  # fmt: skip
    gas = [found[m]["errors"]["zero_shot_pdebench_cns_m0.1"]["mean"] for m in (OURS, "FNO")]
    yield Phrase("above all of the gas (# %)", [100 * (1 - gas[0] / gas[1])])
    flops = [found[m]["flops_per_frame"] for m in (OURS, "FNO")]
    ratio = flops[0] / flops[1]
    share = 100 * (ratio * found[FLOPS]["steps"] / found["FNO"]["steps"] - 1)
    yield Phrase("FLOPs within # %", [abs(share)])
    yield Phrase("A frame takes # times the FNO's FLOPs", [ratio])
    for model, after in ((STEPS, "After"), (FLOPS, "after")):
        below = 100 * (1 - mean_errors()[model] / mean_errors()["FNO"])
        better = wins_of(STUDY, model, "FNO")["better"]
        yield Phrase(f"{after} {model} it is # % below, better on #", [below, better])
    for model, words in (
        (OURS, "Among the four others of equal time it is first in mean rank, # to the FNO's #"),
        (STEPS, "after as many steps, # to #"),
        (FLOPS, "after as many FLOPs, # to #"),
    ):
        ranks = mean_ranks(STUDY, model)
        assert min(ranks, key=lambda name: ranks[name]) == model
        yield Phrase(words, [ranks[model], ranks["FNO"]])
    routed = 100 * (1 - mean_errors()[OURS] / mean_errors()[TWIN])
    won = wins_of(STUDY, OURS, TWIN)
    words = "the mixture is # % below its dense twin, better on #, clearly on #"
    yield Phrase(words, [routed, won["better"], won["clearly_better"]])


@on(README)
def asked_before_every_call() -> Iterator[Phrase]:
    before = {c: fmean(seeds) for c, seeds in record("patched/decided-anew.json")["l2re"].items()}
    by_seed = zip(*record("patched/decided-anew.json")["l2re"].values(), strict=True)
    mean = fmean(geometric_mean(errors) for errors in by_seed)
    values = [mean, before["fno_ns_1e-3"], before["pdebench_swe"]]
    yield Phrase("a geometric mean of #, # on NS 1e-3 and # on SWE", values)


def mean_ranks(study: str, model: str) -> dict[str, float]:
    """Over corpora and seeds, among the others at equal time."""
    points = [one for one in record(EQUAL)["points"] if one["model"] in _OTHERS]
    points += [one for one in record(study)["points"] if one["model"] == model]
    ranks: dict[str, list[int]] = {}
    for seed in range(3):
        errors = {one["model"]: one["errors"] for one in points if one["seed"] == seed}
        for task in errors[model]:
            order = sorted(errors, key=lambda name: errors[name][task])
            for place, name in enumerate(order, start=1):
                ranks.setdefault(name, []).append(place)
    return {name: fmean(places) for name, places in ranks.items()}


@on(README)
def longer() -> Iterator[Row | Phrase]:
    found = {model: one for (model, _), one in standings_of("patched/longer.json").items()}
    found["FNO"] = standings_of("equal_time/longer.json")["FNO", "mixture_6"]
    for model, one in found.items():
        yield Row("2,500 steps", model, [one["geometric_mean"]["mean"], *zero_shot_errors(one)])
    ours, fno = (found[model]["geometric_mean"]["mean"] for model in (OURS, "FNO"))
    yield Phrase("After 2,500 steps of both, one seed, it is # % below", [100 * (1 - ours / fno)])


@on(README)
def running_free() -> Iterator[Row | Phrase]:
    stable: dict[str, dict[str, float]] = record("patched/free.json")["stable_frames"]
    for model, frames in stable.items():
        yield Row("stable frames", model, [frames[corpus] for corpus in CORPORA.values()])
    ends = stable["FNO"] | {"fno_ns_1e-3": 420, "pdebench_cns_m0.1": 411}
    del ends["fno_ns_1e-5"]
    whole = {m: sum(one[c] == ends[c] for c in ends) for m, one in stable.items()}
    assert whole == {OURS: 4, "FNO": 3}
    moved = record("patched/free.json")["moved"]["stable_frames"]
    periodic = list(moved)
    lasted = [one[c] for one in (moved, stable[OURS]) for c in periodic]
    yield Phrase("of the three periodic corpora), gave #, # and # frames for #, # and #", lasted)


def _l2re(name: str) -> dict[str, Any]:
    runs = record(f"patched/{name}.json")["runs"]
    return {run: one["l2re"] for run, one in runs.items()}


@on(README)
def routers() -> Iterator[Phrase]:
    trained, fresh = inference("patched/routing.json")
    told = [one["value"] for one in trained]
    yield Phrase("by seed #, # and #, fresh weights # (`routing.json`)", [*told, fresh["value"]])


@on(README)
def few_shots() -> Iterator[Phrase]:
    yield from few_shots_of("patched/transfer-fno_ns_1e-4/transfer.json")
    longer = record("patched/transfer-longer/transfer.json")["curves"]["pretrained"]
    words = "from the checkpoint of 2,500 steps to #, # and # (`transfer-longer`)"
    yield Phrase(words, [point["error"] for point in longer])
    waves = record("patched/transfer-wave_layer/transfer.json")["curves"]
    errors = [one["error"] for kind in ("pretrained", "scratch") for one in waves[kind]]
    yield Phrase("Wave-Layer has #, # and #, from scratch #, # and #", errors)
    free = {
        run: list(one["pretrained"].values())
        for run, one in record("patched/transfer-free.json")["runs"].items()
    }
    words = (
        "of it come to # and #, 64 at twice and four times the rate to # and #; "
        "those of NS 1e-4 to # and #"
    )
    yield Phrase(words, [error for errors in free.values() for error in errors])


@on(README)
def parts_and_routing() -> Iterator[Row | Phrase]:
    for table, name in (("form", "trials"), ("routing", "controls")):
        for label, errors in _l2re(name).items():
            values = [errors[corpus] for corpus in CORPORA.values()]
            yield Row(table, label, [geometric_mean(values), *values])
    routed = {label: geometric_mean(one.values()) for label, one in _l2re("controls").items()}
    none, oracle = routed["no experts"], routed["1 of 16, by corpus (oracle)"]
    learnt = routed["4 of 16, learnt (the preset)"]
    still = routed["4 of 16, routers stay as they start"]
    ends, layers = (
        routed[f"4 of 16, {which}plain ends"] for which in ("", "a gate in every layer, ")
    )
    yield Phrase("gain # % over no experts in so few steps", [100 * (1 - learnt / none)])
    assert abs(learnt / oracle - 1) < 0.01  # as much
    assert 0.4 < (1 - layers / none) / (1 - learnt / none) < 0.6
    yield Phrase("plain ends have half of it")
    assert ends > layers
    yield Phrase("stay as they start have # %", [100 * (1 - still / none)])
    more = (routed[f"{which}, learnt"] for which in ("8 of 16", "4 of 32"))
    assert min(more) > learnt > routed["4 of 16, none shared"]
    gas = _l2re("trials")["width 40, patches, residual"]["pdebench_cns_m0.1"]
    yield Phrase("(# is what repeating the last frame has)", [gas])
