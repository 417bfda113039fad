"""Figures of hard constraints."""

from collections.abc import Iterator
from functools import cache
from operator import lt
from statistics import median

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup, standings_of
from foundation.plan.cluster import Cluster, cluster_values
from foundation.plan.forecast import StepForecast, forecast
from foundation.plan.step_time import Arrangement
from foundation.plan.traffic import Spread
from foundation.train.config import load_run_config

README = f"{STUDIES}/hard_constraints/README.md"
_ARMS = {
    "soft": "soft", "soft, 1,250 steps": "soft-longer", "one": "one", "2 boxes": "boxes-2",
    "4 boxes": "boxes-4", "8 boxes": "boxes-8", "4 boxes, anchored faces": "boxes-4-anchored",
    "2 boxes, overlap 3": "boxes-2-overlap", "4 boxes, overlap 3": "boxes-4-overlap",
    "8 boxes, overlap 2": "boxes-8-overlap", "4 boxes, loss sees faces": "boxes-4-faces-seen",
    "4 boxes, scattered points": "boxes-4-scattered",
    "4 boxes, every row alike": "boxes-4-rows-alike", "4 boxes, own rows": "boxes-4-own-rows",
    "one, in units of the forecast": "one-forecast-unit",
}  # fmt: skip
_EQUATIONS = {
    "diffusion-sorption, starts that vary in space": ("sorption", "1_24", "25_31"),
    "Burgers": ("burgers", "1_24", "25_31"),
    "decaying vorticity": ("vorticity", "1_6", "7_8"),
}
_CHOSEN = setup(
    README,
    "where those of the paper do: 1e-4, of vorticity 1e-7",
    "has five times the steps",
    "which has a quarter of the mixture's points",
    "250 steps (vorticity 80) of 4 samples, where the paper has 1024 x 101 and 4,000;",
    "(1 to 24, of vorticity 1 to 6) and beyond (to 31, to 8)",
    "from 16 random smooth fields",
    "to 1e-7, 30 iterations at most",
    "in the most steps allowed (50)",
    "P D N^2",
    "64 random problems like Burgers' (200 points, 16 weights,",
    "scipy 1.17",
    "optimistix 0.1.0 on jax 0.10.2",
)


_TIMED = ("step", "forecast")


@cache
def _scores(equation: str) -> dict[str, list[dict[str, float]]]:
    """Of the seeds, by arm."""
    scores: dict[str, list[dict[str, float]]] = {}
    for one in record(f"hard_constraints/{equation}-runs.json")["records"]:
        arm = one["model"]["name"].removeprefix("FNO, ").partition(", seed")[0]
        values = {key: score["value"] for key, score in one["scores"].items()}
        scores.setdefault(arm, []).append(values)
    return scores


def middle(equation: str, arm: str, key: str = "l2re") -> float:
    """Median over seeds."""
    return median(run[key] for run in _scores(equation)[arm])


@on(README)
def tables() -> Iterator[Row]:
    """Medians over seeds: all frames, the seeds, learnt and later frames, what is left."""
    for table, (name, learnt, beyond) in _EQUATIONS.items():
        scores = _scores(name)
        frames = f"l2re_frames_{learnt}", f"l2re_frames_{beyond}"
        kept = scores["persistence"][0]
        yield Row(table, "the first frame kept", [kept[key] for key in ("l2re", *frames)])
        for label, arm in _ARMS.items():
            if arm in scores:
                seeds = [run["l2re"] for run in scores[arm]]
                later = [middle(name, arm, key) for key in (*frames, "evolution_residual")]
                yield Row(table, label, [middle(name, arm), *seeds, *later])


@on(README)
def what_they_show() -> Iterator[Phrase]:
    sizes = {
        one["parameters_total"]
        for one in standings_of("hard_constraints/sorption-study.json").values()
    }
    yield Phrase("(# K parameters)", [size / 1000 for size in sizes])
    soft, longer = (middle("sorption", arm) for arm in ("soft", "soft-longer"))
    boxes, anchored = (middle("sorption", arm) for arm in ("boxes-4", "boxes-4-anchored"))
    by_boxes = [soft / boxes, soft / anchored, longer / boxes, longer / anchored]
    burgers = middle("burgers", "soft") / middle("burgers", "one")
    yield Phrase("beats soft at least # times", [min(*by_boxes, burgers)])
    yield Phrase(
        "with boxes (# times, anchored #, # and # of soft with the same seconds; one solve #)",
        [*by_boxes, soft / middle("sorption", "one")],
    )
    yield Phrase("on Burgers with one solve (# times)", [burgers])
    learnt = [middle("burgers", arm, "l2re_frames_1_24") for arm in ("one", "soft")]
    yield Phrase("within them soft is # times as good", [learnt[0] / learnt[1]])
    gains = [
        middle("vorticity", "soft") / middle("vorticity", arm)
        for arm in ("one", "boxes-4", "boxes-4-anchored")
    ]
    yield Phrase("soft errs # to # times as much", [min(gains), max(gains)])
    better = []
    for name in ("sorption", "burgers"):
        seeds = ([run["l2re"] for run in _scores(name)[arm]] for arm in ("boxes-4-anchored", "one"))
        better.append(sum(map(lt, *seeds)))
    yield Phrase("better than one solve in # and # of three seeds", better)
    yield Phrase("without an end drift (#)", [middle("sorption", "boxes-4-own-rows")])
    yield Phrase("are worth one solve (#)", [middle("sorption", "boxes-4-scattered")])
    yield Phrase("stays at the first frame, #;", [middle("sorption", "one-forecast-unit")])


def _growth(what: str) -> dict[str, float]:
    """By arm: seconds over the soft ones of a step or a forecast, or errors of a known wave."""
    found = record("hard_constraints/growth.json")["figures"]
    return {
        one["name"].partition(": ")[2].removesuffix(" / soft"): one["value"]
        for one in found
        if one["name"].partition(": ")[0] == f"constraint, {what}" or one["name"].startswith(what)
    }


@on(README)
def errors_of_a_wave() -> Iterator[Phrase]:
    errors = _growth("constraint, L2RE of a known wave")
    boxes = [f"{count} boxes" for count in (2, 4, 8)]
    whole = [errors["one"], *(errors[arm] for arm in boxes)]
    yield Phrase("one solve #, two boxes #, four #, eight #;", whole)
    yield Phrase("overlap of 2 cells #, #, #;", [errors[f"{arm}, overlap 2"] for arm in boxes])
    yield Phrase("anchored #, #, #.", [errors[f"{arm}, anchored"] for arm in boxes])
    yield Phrase("one solve # at 100 points, # at all", [errors["one, 100 points"], errors["one"]])
    four = [errors["4 boxes, 100 points"], errors["4 boxes"]]
    yield Phrase("four boxes # and #.", four)


@on(README)
def by_points() -> Iterator[Phrase]:
    grown = [found["one"] / found["one, 100 points"] for found in map(_growth, _TIMED)]
    yield Phrase("(8 times as many: # times a step of one solve, # times its forecast)", grown)


@on(README)
def growth() -> Iterator[Row]:
    """Seconds as multiples of the soft arm's."""
    arms = ["one", "2 boxes", "4 boxes", "8 boxes", "one, 100 points", "4 boxes, 100 points"]
    anchored = [f"{count} boxes, anchored" for count in (2, 4, 8)]
    for what in _TIMED:
        label, found = f"a {what}", _growth(what)
        yield Row("", label, [found[arm] for arm in arms], among="8")
        values = [found[arm] for arm in anchored]
        yield Row("", f"{label}, anchored faces", values, among="8")


# --- on ranks: a plan is a function of the preset, and is made here

_SORPTION, _VORTICITY = "constrained_sorption_published", "constrained_vorticity_published"
_SOFT = ("model.constraint.enforced=soft", "model.constraint.boxes=[]")
_ONE = ("model.constraint.enforced=one", "model.constraint.boxes=[]")
_WORLDS = (2, 4, 8, 16, 32, 64)


@cache
def _plan(preset: str, world: int, ep_size: int, *overrides: str) -> StepForecast:
    cluster = Cluster.read(cluster_values("h100"), "cluster h100")
    spread = Spread(world, ep_size, zero_stage=1, bf16=False, micro_batch=1)
    return forecast(load_run_config(preset, [*overrides]).model, spread, cluster, Arrangement())


@on(README)
def plans() -> Iterator[Row]:
    """Milliseconds of a step."""
    home = "one, and four boxes kept at home"
    for label, ep_size, overrides in (
        ("sorption as published, soft", 1, _SOFT), (home, 1, _ONE), (home, 1, ()),
        ("four boxes on two ranks", 2, ()), ("four boxes on four ranks", 4, ()),
    ):  # fmt: skip
        worlds = [world for world in _WORLDS if world >= ep_size]
        found = [_plan(_SORPTION, world, ep_size, *overrides) for world in worlds]
        yield Row("ranks", label, [1e3 * one.time.total for one in found])


@on(README)
def what_plans_say() -> Iterator[Phrase]:
    boxes, one = _plan(_SORPTION, 4, 4), _plan(_SORPTION, 4, 1, *_ONE)
    yield Phrase("a rank of four sends # MB a step", [boxes.cost.traffic.exchange / 1e6])
    solved = [found.cost.flops_solved / 1e9 for found in (boxes, one)]
    yield Phrase("(# against # GFLOP)", solved)
    yield Phrase(
        "*Launches decide*, # of # ms", [1e3 * boxes.time.launches, 1e3 * boxes.time.total]
    )
    constraint = load_run_config(_SORPTION, []).model.constraint
    assert constraint is not None
    iterations = constraint.solver.iterations
    yield Phrase("computes # MFLOP", [1e3 * solved[0] / iterations])
    whole = "model.constraint.solver.curvature=exact"
    alone, spread = _plan(_VORTICITY, 1, 1, whole), _plan(_VORTICITY, 4, 4, whole)
    share = alone.cost.flops_solved / alone.cost.flops_step
    solves = 1e3 * alone.time.compute * share
    yield Phrase("solves take # of # ms", [solves, 1e3 * alone.time.total])
    yield Phrase("would leave # and add # of exchange", [solves / 4, 1e3 * spread.time.exchange])


@on(README)
def beside_solvers_of_others() -> Iterator[Row]:
    found = record("hard_constraints/solvers.json")
    problems = len(found["scipy"]["objectives"])
    for label, solver in {
        "ours, whole curvature": "ours, exact", "ours, Gauss-Newton": "ours, gauss_newton",
        "scipy": "scipy", "optimistix": "optimistix",
    }.items():  # fmt: skip
        one = found[solver]
        least = [one["boxes_at_the_least"], *([problems] if solver == "ours, exact" else [])]
        pairs = [*one["gradient"].values(), *one["steps"].values(), *one["seconds"].values()]
        grown = [one["grown_mib"]] if one["grown_mib"] else []
        yield Row("", label, [*least, *pairs, *grown], among="at the least objective")
