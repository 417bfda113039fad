"""Figures of README and of pages that join several studies."""

import json
from collections.abc import Iterator
from statistics import fmean
from typing import Any

from evaluation.studies.baselines.facts import activated, few_shot_gains, inference
from evaluation.studies.equal_time.facts import EQUAL, floor_at_equal_time
from evaluation.studies.facts import (
    ROOT,
    Phrase,
    Row,
    geometric_mean,
    numbers_in,
    on,
    record,
    row,
    setup,
    short,
    standings_of,
    wins_of,
)
from evaluation.studies.patched.facts import STEPS as ON_PATCHES
from evaluation.studies.quickstart.facts import MODEL, SCORES, errors, took
from evaluation.studies.smooth.facts import mean_errors
from evaluation.studies.strangers.facts import spread_of, verdicts_of

CHOOSE, FAITHFUL = "docs/pages/choose.md", "docs/pages/faithful.md"
FIRST, README = "docs/pages/first-results.md", "README.md"
SIX = {
    "CFDBench": "cfdbench", "NS 1e-3": "fno_ns_1e-3", "NS 1e-5": "fno_ns_1e-5",
    "CNS": "pdebench_cns_m0.1", "DR": "pdebench_dr", "SWE": "pdebench_swe",
}  # fmt: skip

_OF_README = setup(
    README,
    "(16 routed experts, 4 chosen per sample, 2 shared;",
    "Python 3.11 or later",
    "periodic | w | 10, 20 |",
    "density, pressure | 11 |",
    "| h | 91 |",
    "| u, v | 91 |",
    "obstacle | 10 |",
    "Exit codes: 0 success, 2 your error (one line says what to do), 1 ours.",
    "Apache-2.0",
)
_OF_CHOOSE = setup(
    CHOOSE,
    "up to 1 B (DPOT, ten frames in) and .6 B (Poseidon, one frame in)",
    "Walrus | 1.3 B",
    "16 simulations and two models",
    "forecasts of 5 to 20 frames",
    "Fine-tuned on 16 runs",
    "(error at most .2 and",
)
_OF_CONCEPTS = setup(
    "docs/pages/concepts.md",
    "octave of waves up to 32 a side",
    "stage 1 the optimiser's state, stage 2 the gradients too. Stage 3 does",
    "0 is perfect; 1 is as bad as predicting zero.",
)
_OF_QUICKSTART = setup("docs/pages/quickstart.md", "Python 3.11 or later")
_OF_FIRST = setup(
    FIRST,
    "with `ep_size` 2",
    "on 8 held-out trajectories",
    "and 32 held-out trajectories",
    "24 GiB (",
    "fp32, ZeRO 1, `ep_size` 2, 2 samples per rank |",
    "bf16, ZeRO 1, `ep_size` 2, 1 sample per rank |",
)
_OF_FAITHFUL = setup(
    FAITHFUL,
    "frame 0 into the solver, each operator against frame 1;",
    "neuraloperator 2.0",
    "of torch, N - 1",
    "in 2.11 and 2.13",
)


def _baselines() -> dict[str, Any]:
    """Models of the study by name."""
    return {model: one for (model, _), one in standings_of("baselines/study.json").items()}


def _geometric_means() -> dict[str, float]:
    return {model: one["geometric_mean"]["mean"] for model, one in _baselines().items()}


def _wins(other: str) -> int:
    return int(wins_of("baselines/study.json", "MoE-POT", other)["better"])


def _bundled(model: str) -> float:
    """Geometric mean of the six errors, as the records of the package's checkpoint have it."""
    records = ROOT / "foundation" / "bundled" / "moe-fno-nano" / "records" / "zero_shot.json"
    six = [
        one["scores"]["l2re"]["value"]
        for one in json.loads(records.read_text())["records"]
        if one["model"]["name"] == model and one["task"]["name"].startswith("zero_shot_")
    ]
    assert len(six) == len(SIX)
    return geometric_mean(six)


@on(FIRST)
def quickstart() -> Iterator[str | Phrase]:
    ours, floor = errors()
    times = {corpus: floor[corpus] / ours[corpus] for corpus in ours}
    yield row("", *SIX).replace("|  |", "| |")
    yield row(MODEL, *(f"**{short(ours[corpus])}**" for corpus in SIX.values()))
    floors = (short(floor[corpus]) for corpus in SIX.values())
    yield row("better of the two floors (persistence)", *floors)
    yield row("times better", *(f"{times[corpus]:.1f}" for corpus in SIX.values()))
    yield Phrase("in # min # s after the install", divmod(took()["all"], 60))
    yield Phrase("# minutes for 15 corpora", [took()["simulate"] / 60])
    yield Phrase("# minutes for 1250 optimiser steps", [took()["train"] / 60])
    model = record(SCORES)["records"][0]["model"]
    sizes = [model[f"parameters_{which}"] / 1e6 for which in ("total", "activated")]
    yield Phrase("(# M parameters, # M activated)", sizes)


@on("docs/pages/quickstart.md")
def how_long() -> Iterator[Phrase]:
    yield Phrase("About # minutes after the install;", [took()["all"] / 60])


@on(FIRST, "docs/pages/index.md")
def minutes_of_training() -> Iterator[str]:
    assert 120 < took()["train"] < 1200
    yield "minutes of training"


@on(README)
def quickstart_gains() -> Iterator[Phrase]:
    yield Phrase("The quickstart takes some # minutes", [took()["all"] / 60])
    ours, floor = errors()
    times = [floor[corpus] / ours[corpus] for corpus in ours]
    extremes = [min(times), max(times)]
    yield Phrase("# to # times smaller than those of the best floor", extremes)


@on(FIRST)
def beside_other_networks() -> Iterator[Phrase]:
    mean = _geometric_means()
    yield Phrase("at # to # M activated", activated())
    yield Phrase(
        "better than its dense twin DPOT on # of the 6 corpora (geometric mean of the errors # "
        "against #)",
        [_wins("DPOT"), mean["MoE-POT"], mean["DPOT"]],
    )
    yield Phrase("FNO (#) and a U-Net (#) are ahead", [mean["FNO"], mean["U-Net"]])
    yield Phrase("to a # to # times smaller error", _few_shot())


@on(CHOOSE)
def routers_of_spectra() -> Iterator[Phrase]:
    trained, fresh = inference("equal_time/routing.json")
    told = [one["value"] for one in trained]
    yield Phrase("tell # to # by seed, fresh ones #", [min(told), max(told), fresh["value"]])


@on(FIRST, CHOOSE)
def routers() -> Iterator[Phrase]:
    trained, fresh = inference("baselines/routing.json")
    yield Phrase("with an accuracy of #", [fmean(one["value"] for one in trained)])
    yield Phrase("with #", [fresh["value"]])


def _few_shot() -> list[float]:
    return [min(few_shot_gains()), max(few_shot_gains())]


@on(README)
def verdicts() -> Iterator[Phrase]:
    small, bundled = verdicts_of("seed0", "seed1"), verdicts_of("moe-fno-nano")
    yield Phrase(
        "right of # % of # forecasts of equations that no corpus holds by two models, of # % of #",
        [100 * small["right"], small["asked"], 100 * bundled["right"], bundled["asked"]],
    )


@on(README)
def which_model_in_short() -> Iterator[Phrase]:
    ours, fno, unet, moe_pot, dpot = _at_equal_time()
    best = mean_errors()[ON_PATCHES]
    yield Phrase(
        "error over six corpora: # (repeating the last frame #); on whole cells it has #, the FNO "
        "#, MoE-POT #, its dense twin DPOT #, a U-Net #",
        [best, floor_at_equal_time(), ours, fno, moe_pot, dpot, unet],
    )
    assert best < min(ours, fno, moe_pot, dpot, unet)
    (unet,) = standings_of("equal_time/unet.json").values()
    yield Phrase("with 1,250 it has #, one seed)", [unet["geometric_mean"]["mean"]])


def _at_equal_time() -> list[float]:
    found = {model: one for (model, _), one in standings_of(EQUAL).items()}
    models = ("MoE-FNO", "FNO", "U-Net", "MoE-POT", "DPOT")
    return [found[model]["geometric_mean"]["mean"] for model in models]


@on(CHOOSE)
def which_model() -> Iterator[str | Phrase]:
    mean = _geometric_means()
    values = [mean[model] for model in ("FNO", "U-Net", "MoE-POT", "DPOT")]
    yield Phrase("FNO #, U-Net #, MoE-POT #, its dense twin DPOT #", values)
    won = [_wins("DPOT"), 6 - _wins("FNO")]
    yield Phrase("better than its twin on # of 6 corpora, worse than FNO on #", won)
    yield Phrase("to an error # to # times smaller", _few_shot())
    of_all = (error["mean"] for one in _baselines().values() for error in one["errors"].values())
    least = 100 * min(of_all)
    yield f"on any corpus was below {int(10 * least) / 10} %"


@on(CHOOSE)
def sizes() -> Iterator[Phrase]:
    counts = [one["parameters_activated"] / 1e6 for one in standings_of(EQUAL).values()]
    yield Phrase("at # to # M activated parameters", [min(counts), max(counts)])


@on(CHOOSE)
def routed_fno() -> Iterator[Phrase]:
    yield Phrase(
        "#, the plain FNO's #, the U-Net's #, MoE-POT's #, its dense twin DPOT's #, repeating the "
        "last frame #",
        [*_at_equal_time(), floor_at_equal_time()],
    )
    errors = mean_errors()
    less = 100 * (1 - errors[ON_PATCHES] / errors["FNO"])
    yield Phrase("it has #, # % less than the FNO", [errors[ON_PATCHES], less])
    path = ROOT / "foundation" / "bundled" / "moe-fno-nano" / "records" / "zero_shot.json"
    model = json.loads(path.read_text())["records"][0]["model"]
    yield Phrase(
        "`moe-fno-nano` (# M parameters, # steps",
        [model["parameters_total"] / 1e6, model["training_steps"]],
    )
    floor = [_bundled("moe-fno-nano"), _bundled("persistence")]
    yield Phrase("has a geometric mean of #, repeating the last frame #", floor)


@on(CHOOSE)
def strangers() -> Iterator[Phrase]:
    small, bundled = verdicts_of("seed0", "seed1"), verdicts_of("moe-fno-nano")
    yield Phrase("# of # forecasts of 5", [small["of_use"], small["asked"]])
    yield Phrase(
        "said of # % of them rightly whether they are, a plain no would have been right of # %",
        [100 * small["right"], 100 * small["no"]],
    )
    yield Phrase("Of `moe-fno-nano`, # of # were of use", [bundled["of_use"], bundled["asked"]])
    percent = [100 * bundled["right"], 100 * bundled["no"]]
    yield Phrase("# % of the verdicts right, of a plain no # %", percent)
    words = "in the median left with # of the error of repeating the last frame (# to #)"
    yield Phrase(words, _middle_first("of_floor"))
    words = "# times less than from scratch in the median (#, which is more, to #;"
    yield Phrase(words, _middle_first("from_16"))


def _middle_first(gain: str) -> list[float]:
    least, most, middle = spread_of(gain)
    return [middle, least, most]


@on(FIRST)
def steps_on_two_cores() -> Iterator[str]:
    for one in record("steps_on_two_cores.json")["runs"]:
        first, *later = one["seconds_per_step"]
        places = 2 if max(later) < 1 else 1
        seconds = "-".join(f"{value:.{places}f}" for value in (min(later), max(later)))
        memory = short(one["peak_memory_gib_of_both_ranks"])
        yield f"{seconds}, the first {short(first, 2)} | {memory} GiB"


# --- agreement with programs of others: bounds that tests hold

_GENERATE = "tests/data_shards/generate"
_BOUNDS: dict[str, tuple[str, list[float]]] = {
    "compressible gas, `stress: pdebench`": (f"{_GENERATE}/test_compressible_solver.py", [1, 21]),
    "the same, `stress: pdebench_early`": (
        f"{_GENERATE}/test_compressible_solver.py",
        [1, 1, 5, 20, 5],
    ),
    "frames of vorticity, `frames: sampled`": (
        f"{_GENERATE}/test_vorticity_solver.py",
        [1e-12, 3],
    ),
    "radial dam break": ("tests/data_shards/generate/test_shallow_water_solver.py", [2]),
    "spin chain of four": ("tests/golden/test_cophy_states.py", [1e-12]),
    "elliptic problems": ("tests/golden/test_transfer_scaling_generator.py", [1e-5]),
    "MoE-POT: output, chosen experts, weights": ("tests/golden/test_published_network.py", [1e-5]),
    "DPOT": ("tests/golden/test_published_dpot.py", [1e-5]),
    "FNO's spectral layer": ("tests/golden/test_neuraloperator_layer.py", [1e-5]),
    "FNO of transfer scaling": ("tests/golden/test_transfer_scaling_network.py", [1e-5]),
    "ten steps: data loss and balance loss, gradient norm": (
        "tests/golden/test_authors_training.py",
        [5e-6],
    ),
    "learning rate and first beta of every step": ("tests/golden/test_authors_training.py", [5e-6]),
    "weights after them": ("tests/golden/test_authors_training.py", [5e-6]),
    "L2RE of imported weights on six corpora": ("tests/golden/test_authors_scores.py", [1e-6]),
}


@on(FAITHFUL)
def bounds() -> Iterator[Row | Phrase]:
    """A bound is a number that its test compares with; of percents the share."""
    for label, (test, values) in _BOUNDS.items():
        assert all({value, value / 100} & numbers_in(test) for value in values), label
        yield Row("what", label, values, columns=(2,))
    assert 0.08 in numbers_in(f"{_GENERATE}/test_compressible_solver.py")
    yield Phrase("more than # % off PDEBench's after one frame", [8])


@on(FAITHFUL)
def initial_fields() -> Iterator[Row]:
    """Constants of the generators, of which tests say that they are those of their fields."""
    assert {0.45, 0.1} <= numbers_in("data_shards/generate/compressible.py")
    windows = [0.45, 0.1, 0.1 + (0.45 - 0.1) / 2, 0.1, 0.45]
    yield Row("what", "windows of the gas, `windows: published`", windows, columns=(2,))
    assert {0.1852, 0.262} <= numbers_in("data_shards/generate/vorticity.py")
    label = "initial vorticity, `noise: one_per_part` and `one_in_all`"
    yield Row("what", label, [0.262, 0.1852, 10], columns=(2,))
