"""Figures of how-tos and of the reference, and all that follow from plans."""

from collections.abc import Iterator

from evaluation.studies.facts import ROOT, Phrase, numbers_in, on, record, setup
from evaluation.studies.grids.facts import over_own
from evaluation.studies.hard_constraints.facts import middle
from evaluation.studies.scaling.facts import times_too_fast
from evaluation.studies.strangers.facts import verdicts_of
from foundation.plan.cluster import Cluster, cluster_values
from foundation.plan.forecast import StepForecast, forecast
from foundation.plan.routes import simulate_routes
from foundation.plan.step_time import Arrangement
from foundation.plan.traffic import Spread
from foundation.train.config import RunConfig, load_run_config

PAGES = "docs/pages"
BOXES, CONSTRAINTS = f"{PAGES}/how-to/boxes.md", f"{PAGES}/how-to/constraints.md"
FORECAST, FOREIGN = f"{PAGES}/how-to/forecast.md", f"{PAGES}/how-to/foreign-models.md"
PRETRAIN, SCALE = f"{PAGES}/how-to/pretrain.md", f"{PAGES}/how-to/scale.md"
ATTACKS = f"{PAGES}/reference/attacks.md"

# Defaults, thresholds, ranges of parameters and terms of others: none of them is a result.
_SETUPS = (
    setup(
        BOXES,
        "for rms speed 1 in a box of side 1",
        "its 27 neighbours",
        "walls half a cell away",
        "chooses one of two experts",
    ),
    setup(
        CONSTRAINTS,
        "Chalapathi et al., 2024)",
        "| 16, all boxes 80,000 |",
        "| 1e-4, 50, `gauss_newton` |",
    ),
    setup(
        f"{PAGES}/how-to/evaluate.md",
        "the neighbours of that hour",
        "below 1 it has learnt nothing",
        "judges nothing twice",
        "that hold 90 % of the truth",
        "that held 90 % of the",
        "probability .9 to .9 + 1/(n + 1) of",
        "give 90 % bands at all; 64 and more",
    ),
    setup(
        FORECAST,
        "at most .1 and at most .2;",
        "A file of 20 frames tells nothing of the 50th",
        "an error of at most .2",
        "held 90 % of forecasts of these",
        "run 0 is read",
        "**Masks**: 1 in the fluid",
        "the model sees 0 there",
        "of compute capability 9 or more",
        "10 bits of mantissa",
    ),
    setup(
        FOREIGN,
        "BSD-3",
        "it pins neuraloperator 0.3",
        "CC-BY-4.0",
        "CC-BY-NC-4.0",
        "frames 1 to 20 and 21 to 60, 6 to 12 and 13 to 30)",
        "1 to 10 and 11 to 30)",
    ),
    setup(f"{PAGES}/how-to/few-shot.md", "is learnt twice with"),
    setup(f"{PAGES}/how-to/finetune.md", "to half of its peak"),
    setup(
        f"{PAGES}/how-to/ground-states.md",
        "fields up to 0.5, N of 4, 8, 10, 12 and 14;",
        "the critical field of 1 up to 2",
        "(a hundred labels;",
        "of 2^N",
        "(1 less the squared overlap",
    ),
    setup(
        PRETRAIN,
        "from `start` (0)",
        "`schedule.final_lr` (0) after `schedule.warmup_steps` (0)",
        "the loss is 10 times its lowest level",
        "a relative error above 100:",
        "a quarter of a block's experts get less than a hundredth of an equal share",
        "| half the bytes",
    ),
    setup(
        f"{PAGES}/how-to/resume.md",
        "end with code 0;",
        "notice within a second:",
        "code 143:",
        "code is not 0",
        "minutes (10) the job ends, code 1,",
        "one line, code 1",
        "from `--pause` (10 s)",
        "error (code 2)",
        "`max_skipped` (100)",
        "takes half a minute more to kill",
        "the pause before them doubles",
        "at half the rate",
    ),
    setup(
        SCALE,
        "number of experts, 16;",
        "`whole` is `ep_size` 1:",
        "(`ep_size` 1):",
        "32 GPUs; on 64 most",
        "`ep_size` 1 while",
        "80 GB hold it whole",
        "until it is 1 and the plan refuses: 1024 GPUs need 1024 samples at least",
        "have use for 64 each",
        "of 1024 has 16",
        "of 20 million numbers",
        "fullest of 1024 ranks (`ep_size` 8)",
        "on 80 GB",
        "ZeRO 1 cuts",
        "64 to 1024:",
        "Doubling GPUs halves the micro-batch",
        "falls under a half.",
    ),
    setup(
        f"{PAGES}/how-to/steady.md",
        "(Subramanian et al., 2023)",
        "whose relative error is 1:",
    ),
    setup(ATTACKS, "checkpoint of 1 GB in 16 files"),
)


@on(ATTACKS)
def what_checks_cost() -> Iterator[Phrase]:
    measured = record("speed/checksums.json")
    took = measured["seconds"]
    yield Phrase("of # GB in three shards", [measured["bytes_of_shards"] / 1e9])
    for words, name in (
        ("| manifest and all headers | # |", "start: manifest, headers"),
        ("| checksums of the shards | # |", "start: checksums"),
        ("| checksums, headers, every number | # |", "foundation shards verify"),
        ("| at a save | checksums | # |", "save: checksums"),
        ("| to the disk, renamed | # |", "save: to the disk and renamed"),
        ("| checksums of the checkpoint | # |", "resume: checksums of a checkpoint"),
    ):
        yield Phrase(words, [took[name]])
    alone = took["one after the other: checksums of shards"] / took["start: checksums"]
    yield Phrase("those of the shards take # times", [alone])


@on(BOXES)
def divergence() -> Iterator[Phrase]:
    fields = record("shodh/tokenizer_128.json")["fields"]
    most = [
        max(one[key] for one in fields if one["velocity"] == "projected")
        for key in ("max_divergence", "max_divergence_stored")
    ]
    yield Phrase("is # at most in float64 and # once it is stored", most)


@on(CONSTRAINTS)
def anchored_faces() -> Iterator[Phrase]:
    equations = ("sorption", "burgers")
    errors = [middle(name, arm) for arm in ("boxes-4-anchored", "soft") for name in equations]
    yield Phrase("# and # where soft had # and #;", errors)


@on(FORECAST)
def verdicts() -> Iterator[Phrase]:
    small, bundled = verdicts_of("seed0", "seed1"), verdicts_of("moe-fno-nano")
    yield Phrase(
        "Of # forecasts of 16 equations that no corpus holds, by two small models, # % of the "
        "verdicts were right",
        [small["asked"], 100 * small["right"]],
    )
    found = [record(f"strangers/{name}.json")["shares"] for name in ("seed0", "seed1")]
    before = sum(one["verdicts"] * one["right_old"] for one in found) / small["asked"]
    assert abs(before - small["no"]) < 0.005
    yield Phrase("right of # %, as often as a plain no", [100 * before])
    values = [100 * bundled["right"], bundled["asked"], 100 * bundled["no"]]
    yield Phrase("`moe-fno-nano`, # % of # were right, a plain no of # %", values)


@on(f"{PAGES}/how-to/evaluate.md")
def finer_grids() -> Iterator[Phrase]:
    worst = [max(over_own(cells).values()) for cells in (128, 256)]
    words = "errs at most # times as much on 128 cells a side as on its own 64, # times on 256"
    yield Phrase(words, worst)


@on(FOREIGN)
def agreement() -> Iterator[Phrase]:
    tests = sorted((ROOT / "tests" / "evaluation" / "foreign").glob("test_*_*.py"))
    assert any(1e-5 in numbers_in(str(path.relative_to(ROOT))) for path in tests)
    yield Phrase("to # over three frames fed back", [1e-5])


@on(PRETRAIN)
def faster() -> Iterator[Phrase]:
    found = {one["name"]: one["value"] for one in record("speed/ratios.json")["figures"]}
    (compiled,) = record("speed/compiled.json")["figures"]
    step, bf16 = "tiny, batch 8, whole step", "tiny, batch 8, bf16"
    yield Phrase("tiny: # times as fast as float32", [found[f"{step}: fp32 / bf16"]])
    yield Phrase("tiny: # times as fast; none", [compiled["value"]])
    again = [found[f"{bf16}, blocks recomputed / kept: {of}"] for of in
             ("memory of its tensors", "time of a step")]  # fmt: skip
    yield Phrase("# of the memory of a step's tensors, # times the time", again)
    freed = [found[f"{step}, {kind}: freed memory returned / kept"] for kind in ("bf16", "fp32")]
    yield Phrase("tiny: # to # times the time", freed)
    medium = "medium, ep 2, ZeRO 1, bf16, micro-batch 1"
    memory, seconds = (
        [found[f"{medium}{how}: {of}"] for how in (", optimiser offloaded", "")]
        for of in ("memory of both ranks, GiB", "seconds per step")
    )
    yield Phrase("medium # GiB for #, # of the time", [*memory, seconds[0] / seconds[1]])
    waits = [100 * found[f"{bf16}, {n} workers: waiting for samples / step"] for n in (1, 0)]
    yield Phrase("tiny: # % of a step waited instead of #", waits)


# --- plans on a cluster, made by the planner itself

_H100 = Cluster.read(cluster_values("h100"), "cluster h100")


def _run(preset: str) -> RunConfig:
    return load_run_config(preset, [])


def _plan(preset: str, world: int, micro: int) -> StepForecast:
    """In bf16, every rank with all experts."""
    spread = Spread(world, 1, zero_stage=1, bf16=True, micro_batch=micro)
    return forecast(_run(preset).model, spread, _H100, Arrangement())


def _parameters(preset: str) -> int:
    return _plan(preset, 1, 1).cost.parameters.total


@on("README.md")
def sizes() -> Iterator[Phrase]:
    least, most = (_parameters(preset) for preset in ("tiny", "medium"))
    yield Phrase("# M to # B parameters)", [least / 1e6, most / 1e9])


@on(f"{PAGES}/first-results.md")
def sizes_in_a_table() -> Iterator[Phrase]:
    for preset in ("tiny", "medium"):
        yield Phrase(f"| {preset} | # M |", [_parameters(preset) / 1e6])


@on(SCALE)
def assumptions() -> Iterator[Phrase]:
    launches = [1e3 * seconds for seconds in (_H100.launch_s_per_block, _H100.launch_s_per_step)]
    values = [100 * _H100.attained_share, *launches]
    yield Phrase("(# % of the peak attained, # ms of launches per block and # per step)", values)


@on(SCALE)
def work_of_a_gpu() -> Iterator[Phrase]:
    yield Phrase("# M parameters cost less to reduce", [_parameters("tiny") / 1e6])
    tiny, medium = (_plan(preset, 64, 64) for preset in ("tiny", "medium"))
    flops = [found.cost.flops_step for found in (tiny, medium)]
    sizes = [one / 1e9 for one in flops]
    yield Phrase("of tiny is # GFLOPs forward and backward, of medium #:", sizes)
    each = [1e3 * one / _H100.flops_per_s(bf16=True) for one in flops]
    yield Phrase("cluster # and # ms", each)
    launches = [1e3 * found.time.launches for found in (tiny, medium)]
    yield Phrase("Launches cost # and # ms", launches)
    samples = [one / other for one, other in zip(launches, each, strict=True)]
    yield Phrase("under # samples of tiny or # of medium per forward", samples)
    yield Phrase(
        "from the # and # of the presets", [_run(p).global_batch for p in ("tiny", "medium")]
    )
    shares = [
        one.time.launches / one.time.total
        for one in (_plan("tiny", 32, 128), _plan("tiny", 64, 64))
    ]
    assert shares[0] < 0.5 < shares[1]
    reduced = _plan("medium", 1024, 16)
    assert reduced.bound == "gradients"
    links = {
        name: getattr(_H100, name).model_copy(update={"alpha_s": 0.0})
        for name in ("inside", "between")
    }
    at_once = _H100.model_copy(update=links)
    carried = forecast(_run("medium").model, reduced.spread, at_once, Arrangement())
    latency = 1 - carried.time.gradients / reduced.time.gradients
    yield Phrase("Of it # % are latency", [100 * latency])


@on(SCALE)
def between_nodes() -> Iterator[Phrase]:
    slower = _H100.between.beta_s_per_byte / _H100.inside.beta_s_per_byte
    yield Phrase("is # times slower than the one inside", [slower])


@on(SCALE)
def straggling() -> Iterator[Phrase]:
    model = _run("medium").model
    computed = {
        (micro, skew): simulate_routes(16, 4, 8, 128, model.blocks, micro, skew).computed
        for micro in (16, 1) for skew in (0.0, 0.5)
    }  # fmt: skip
    alike = [computed[16, 0.0], computed[1, 0.0]]
    yield Phrase("some # times the mean at 16 samples per rank, # times at one", alike)
    yield Phrase("`--skew 0.5`: # and #)", [computed[16, 0.5], computed[1, 0.5]])


@on(SCALE)
def plans_against_runs() -> Iterator[Phrase]:
    least, most = times_too_fast("tiny")
    yield Phrase("plans were # to # % too fast for tiny", [100 - 100 / least, 100 - 100 / most])
    yield Phrase("tiny, # to # times for nano", times_too_fast("nano"))
