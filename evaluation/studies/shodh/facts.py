"""Figures of flow in boxes."""

from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any

from evaluation.studies.facts import STUDIES, Phrase, Row, on, record, setup, standings_of

README = f"{STUDIES}/shodh/README.md"
_ROUTES = {"top-1": "top-1", "dense": "dense", "by chance": "random", "oracle": "oracle"}
_ROLLOUTS = ("box_rollout_open_channel_3d", "box_rollout_porous_3d")
_LATENTS = ("box_latents_open_channel_3d", "box_latents_porous_3d")

_CHOSEN = setup(README, "goal of 1.0 is", "of rms speed 1 in a box of side 1")


def _runs(arm: str, task: str) -> list[Any]:
    return [
        one
        for one in record("shodh/study-runs.json")["records"]
        if one["task"]["name"] == task and f" {arm}," in f" {one['model']['name']},"
    ]


def _errors(arm: str, task: str) -> list[float]:
    """L2RE by seed."""
    return [one["scores"]["l2re"]["value"] for one in _runs(arm, task)]


def _latent_errors(arm: str, task: str) -> list[float]:
    return [
        one["scores"]["latent"]["value"]
        for one in record("shodh/latents.json")["records"]
        if one["task"]["name"] == task and one["model"]["name"].startswith(f"{arm}, ")
    ]


@on(README)
def flow_in_boxes() -> Iterator[Row]:
    """Eight frames and the first alone, by corpus."""
    for label, arm in {**_ROUTES, "the last frame kept": "persistence"}.items():
        values = []
        for task in _ROLLOUTS:
            errors = _errors(arm, task)
            spread = [stdev(errors)] if len(errors) > 1 else []
            first = fmean(one["error_per_frame"][0] for one in _runs(arm, task))
            values += [fmean(errors), *spread, first]
        yield Row("", label, values, columns=(1, 2, 4, 5))


@on(README)
def latents_of_flow() -> Iterator[Row]:
    for label, arm in _ROUTES.items():
        errors = [_latent_errors(arm, task) for task in _LATENTS]
        values = [value for one in errors for value in (fmean(one), stdev(one))]
        yield Row("", label, values, columns=(3, 6))


@on(README)
def what_routing_buys() -> Iterator[Phrase]:
    means = {
        name: one["geometric_mean"] for (_, name), one in standings_of("shodh/study.json").items()
    }
    values = [means[arm][key] for arm in ("top-1", "dense") for key in ("mean", "standard_error")]
    yield Phrase("(# +- # against # +- # of dense over both)", values)
    first = {
        (arm, task): fmean(one["error_per_frame"][0] for one in _runs(arm, task))
        for arm in (*_ROUTES.values(), "persistence") for task in _ROLLOUTS
    }  # fmt: skip
    less = [
        100 * (1 - error / first["persistence", task])
        for (arm, task), error in first.items()
        if arm != "persistence"
    ]
    yield Phrase("they err # to # % less than the kept frame", [min(less), max(less)])
    oracle, dense = (_errors(arm, _ROLLOUTS[0]) for arm in ("oracle", "dense"))
    assert max(oracle) < min(dense)
    yield Phrase("The oracle gains # % on channels", [_less(oracle, dense)])
    pairs = [
        [_latent_errors(arm, task) for arm in ("oracle", "dense", "top-1")] for task in _LATENTS
    ]
    assert all(max(oracle) < min(dense) for oracle, dense, _ in pairs)
    gains = [_less(oracle, dense) for oracle, dense, _ in pairs]
    yield Phrase("it errs # % less on channels and # % less on porous media", gains)
    _, (_, dense, prototypes) = pairs
    yield Phrase("by nothing and by # %", [_less(prototypes, dense)])


def _less(errors: list[float], others: list[float]) -> float:
    """By how much the mean is below the others', in percent."""
    return 100 * (1 - fmean(errors) / fmean(others))


def _purities(name: str) -> dict[int, list[float]]:
    """By step, of the three blocks; a network that learnt nothing has step 0."""
    return {
        one["training_step"]: [block["purity"] for block in one["findings"]["specialisation"]]
        for one in record(f"shodh/{name}.routing.json")["records"]
    }


@on(README)
def purity() -> Iterator[Phrase]:
    by_seed = [purity for seed in range(3) for purity in _purities(f"top-1-{seed}")[300]]
    yield Phrase("by seed: # # #, # # #, # # #", by_seed)
    floors = {one["untrained_purity"] for one in record("shodh/top-1-0.routing.json")["records"]}
    yield Phrase("part the corpora with purity #,", list(floors))
    steps = _purities("emergence")
    fresh = steps.pop(0)
    first, second, last = zip(*(steps[step] for step in sorted(steps)), strict=True)
    yield Phrase("from # at step 50 over # at 150 to # at 300", [last[0], last[2], last[-1]])
    yield Phrase("the second from # to #", [second[0], second[-1]])
    yield Phrase("stays at # to #", [min(first), max(first)])
    yield Phrase("(# # #)", fresh)


@on(README)
def tokenizer() -> Iterator[Row]:
    labels = (
        "channel with a floor and a free surface", "its free twin",
        "eight solid spheres", "their free twin",
    )  # fmt: skip
    keys = ("max_divergence", "max_divergence_stored", "seconds", "tensor_gib")
    for label, one in zip(labels, record("shodh/tokenizer_128.json")["fields"], strict=True):
        yield Row("", label, [one[key] for key in keys], among="float64")
