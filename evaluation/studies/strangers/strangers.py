"""Forecasts for strangers: their errors, what the report said of them before, and was it right.

    python strangers.py CHECKPOINT --shards SHARDS --output seed0.json [--others FOLDER]

Of every simulation the model sees a file of its first frames; what follows is held back, and the
forecast is compared with it. A verdict is right if it says that a forecast is of use where it was,
and that it is not where it was not; "of use" is meant as in `evaluation.simulation.verdict`, of
the frames held back. Beside the verdict stands the rule that it replaced: one step errs by at most
.1 and at most half as much as repeating the last frame, and the routers' divergence from the
nearest corpus is at most a quarter of that corpus's from a typical other one.
Routers of fresh weights are asked likewise: what they tell, no training has taught.
A folder of files by `others.py` adds simulations of solvers that others wrote, read as files are.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data_shards.shards.corpus import ShardedCorpus
from data_shards.simulation_file import Reading, Simulation, read_simulation
from data_shards.simulation_file.simulation import Coordinate, FileLayout
from evaluation.routing.fingerprints import Fingerprints
from evaluation.routing.record import splits_of
from evaluation.routing.runner import (
    RoutedModel,
    RoutingSettings,
    open_routed,
    run_routing,
    untrained_twin,
)
from evaluation.routing.task import RoutingTask
from evaluation.simulation.known_frames import KnownErrors, spread_evenly
from evaluation.simulation.likeness import likeness
from evaluation.simulation.on_model_grid import OnModelGrid, forecast
from evaluation.simulation.page.samples import sample_simulation
from evaluation.simulation.report import judge
from evaluation.simulation.scaling import found_scaling
from evaluation.simulation.verdict import Thresholds, usable_frames
from evaluation.studies.strangers.simulations import SIMULATIONS
from foundation import Surrogate

CELLS, FRAMES, CONTEXT = 64, 50, 10
ASKED = (5, 10, 20)
SAMPLES = 4  # test trajectories of every corpus of the training


def main() -> None:
    """Measure, and write the record."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--others", type=Path, help="folder of files of other packages")
    options = parser.parse_args()
    routed = open_routed(options.checkpoint, torch.device("cpu"))
    model, said = routed.model, routed.model.about
    strangers = {
        name: as_file(name, make(CELLS).frames(FRAMES)) for name, make in SIMULATIONS.items()
    }
    paths = sorted(options.others.glob("*.npz")) if options.others else []
    others = {path.stem: read_simulation(path, Reading(axes="t,y,x")) for path in paths}
    strangers |= others
    known = known_physics(model, options.shards)
    strange, routers = {}, {}
    for weights, each in (("trained", routed), ("fresh", untrained_twin(routed, said["seed"]))):
        prints = fingerprints_of(each, options.shards)
        found = {n: strangeness(each.model, s, prints) for n, s in (strangers | known).items()}
        strange[weights], routers[weights] = found, router_row(found, list(strangers))
    cases, known_cases = (
        [row for n, s in group.items() for row in cases_of(model, n, s, strange["trained"][n])]
        for group in (strangers, known)
    )
    units = [in_units(model, name, each) for name, each in strangers.items()]
    result = {
        "checkpoint": {
            "fingerprint": model.fingerprint[:16],
            **{key: said.get(key) for key in ("preset", "overrides", "corpora", "steps", "seed")},
        },
        "others": list(others),
        "shares": shares(cases),
        "shares_of_known_physics": shares(known_cases),
        "routers": routers,
        "units": medians(units),
        "units_by_simulation": units,
        "cases": cases + known_cases,
    }
    options.output.write_text(compact(result) + "\n")
    for key in ("shares", "shares_of_known_physics", "routers", "units"):
        print(key, json.dumps(result[key], indent=1))


def as_file(name: str, fields: NDArray[np.float32]) -> Simulation:
    """As if it were read from a periodic file."""
    names = tuple(f"u{channel}" for channel in range(fields.shape[1]))
    cells = np.arange(fields.shape[-1], dtype=np.float64)
    return Simulation(
        fields=fields,
        channels=names,
        times=Coordinate("t", np.arange(len(fields), dtype=np.float64)),
        rows=Coordinate("y", cells),
        columns=Coordinate("x", cells),
        boundary="periodic",
        layout=FileLayout("npz", names, "tyx", np.dtype(np.float32)),
        source=Path(f"{name}.npz"),
    )


def known_physics(model: Surrogate, shards: Path) -> dict[str, Simulation]:
    """Test trajectories of the corpora of the training, on the model's grid."""
    found = {}
    for name in model.about["corpora"]:
        corpus = ShardedCorpus.open(shards, name, "test")
        for index in range(SAMPLES):
            found[f"{name} {index}"] = first(sample_simulation(corpus, index, model), FRAMES)
    return found


def first(simulation: Simulation, count: int) -> Simulation:
    """Its first frames."""
    times = replace(simulation.times, values=simulation.times.values[:count])
    return replace(simulation, fields=simulation.fields[:count], times=times)


def cases_of(
    model: Surrogate, name: str, whole: Simulation, strange: float
) -> list[dict[str, Any]]:
    """A row for every length of a forecast that half of the frames after the context allow."""
    room = (len(whole.fields) - CONTEXT) // 2
    rows: list[dict[str, Any]] = []
    curves: dict[str, list[float]] = {}
    for asked in ASKED:
        if asked > room:
            continue
        given = first(whole, CONTEXT + room)
        report = judge(model, given, steps=asked)
        errors = report.errors
        assert errors is not None
        truth = held_back(model, whole, room, asked, report.keeps_detail)
        step, floor = one_step(model, given)
        old = step <= 0.1 and step <= 0.5 * floor
        rows.append({
            "simulation": name, "asked": asked,
            "verdict": report.verdict.answer, "usable": report.verdict.usable,
            "was": usable_frames(truth, Thresholds()),
            "said_accurate": usable_frames(errors, Thresholds(usable=0.1)),
            "was_accurate": usable_frames(truth, Thresholds(usable=0.1)),
            "old": bool(old and strange <= 0.25), "old_without_routers": bool(old),
            "strangeness": three(strange), "keeps_detail": report.keeps_detail,
        })  # fmt: skip
        curves = {
            "error": [three(e) for e in truth.model[0]],
            "persistence": [three(e) for e in truth.persistence[0]],
            "expected": [three(row.expected) for row in errors.by_frame],
        }
    rows[-1] |= curves  # of the longest forecast; the others are its beginning
    return rows


def held_back(
    model: Surrogate, whole: Simulation, room: int, asked: int, keeps: bool
) -> KnownErrors:
    """Errors of the one forecast that the file's last frames give, on what was held back."""
    frames = slice(room, room + CONTEXT + asked)
    times = replace(whole.times, values=whole.times.values[frames])
    rest = replace(whole, fields=whole.fields[frames], times=times)
    placed = OnModelGrid(model, rest)
    future = placed.forecast([0], asked)[0]
    if keeps:
        future = placed.with_detail(future, CONTEXT - 1)
    true, last = rest.fields[CONTEXT:], rest.fields[CONTEXT - 1]
    return KnownErrors(
        starts=(0,),
        model=(error_of(future, true, rest),),
        persistence=(error_of(np.broadcast_to(last, true.shape), true, rest),),
        channels=rest.channels,
        last=0,
    )


def error_of(
    pred: NDArray[np.float32], true: NDArray[np.float32], simulation: Simulation
) -> tuple[float, ...]:
    """L2RE of every frame, written out: root of sums over fluid cells, mean over channels."""
    scored = [c for c in range(true.shape[1]) if true[:, c].any()]
    fluid = np.ones(simulation.grid) if simulation.mask is None else simulation.mask >= 0.5
    off = (((pred - true) * fluid)[:, scored].astype(float) ** 2).sum((2, 3))
    norm = ((true * fluid)[:, scored].astype(float) ** 2).sum((2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(norm > 0, np.sqrt(off / norm), np.nan)
    return tuple(float(e) if np.isfinite(e) else np.inf for e in np.nanmean(ratio, axis=1))


def one_step(model: Surrogate, given: Simulation) -> tuple[float, float]:
    """Mean errors of one step and of repeating, over at most 32 windows."""
    placed = OnModelGrid(model, given)
    starts = spread_evenly(len(given.fields) - CONTEXT, 32)
    after = [start + CONTEXT for start in starts]
    true = given.fields[after]
    pred = np.concatenate([placed.forecast(starts[i : i + 8], 1) for i in range(0, len(starts), 8)])
    last = given.fields[[frame - 1 for frame in after]]
    step, floor = (error_of(of, true, given) for of in (pred[:, 0], last))
    return float(np.mean(step)), float(np.mean(floor))


def in_units(model: Surrogate, name: str, whole: Simulation) -> dict[str, Any]:
    """Mean error of ten frames of the same simulation in other units, in its own units again:
    times ten, and fifty deviations from zero, as a temperature in kelvin is."""
    room = (len(whole.fields) - CONTEXT) // 2
    given, true = first(whole, CONTEXT + room), whole.fields[CONTEXT + room :][:10]
    far = 50 * given.fields.std((0, 2, 3), keepdims=True)

    def error(factor: float, offset: NDArray[np.float32] | float, found: bool) -> float:
        other = replace(given, fields=(factor * given.fields + offset).astype(np.float32))
        scaling = found_scaling(model, other, 10) if found else None
        seen = scaling.applied(other) if scaling else other
        future = forecast(model, seen, 10)
        fields = (scaling.undone(future) if scaling else future).fields
        return three(float(np.mean(error_of((fields - offset) / factor, true, given))))

    last = np.broadcast_to(given.fields[-1], true.shape)
    return {
        "simulation": name,
        "persistence": three(float(np.mean(error_of(last, true, given)))),
        "own_units": error(1, 0, False), "times_10": error(10, 0, False),
        "far_from_0": error(1, far, False), "own_units_auto": error(1, 0, True),
        "times_10_auto": error(10, 0, True), "far_from_0_auto": error(1, far, True),
    }  # fmt: skip


def fingerprints_of(routed: RoutedModel, shards: Path) -> Fingerprints:
    """Mean routes of 32 training windows of every corpus."""
    task = RoutingTask(corpora=tuple(routed.model.about["corpora"]), windows=32)
    corpora = {split: ShardedCorpus.open(shards, *split) for split in splits_of(task)}
    return run_routing(routed, task, corpora, RoutingSettings())[0].fingerprints


def strangeness(model: Surrogate, whole: Simulation, prints: Fingerprints) -> float:
    """As the old rule had it, of the frames that a report sees."""
    given = first(whole, CONTEXT + (len(whole.fields) - CONTEXT) // 2)
    starts = spread_evenly(len(given.fields) - CONTEXT + 1, 32)
    found = likeness(model, OnModelGrid(model, given), starts, prints)
    return found.strangeness or 0.0


def router_row(strange: dict[str, float], strangers: Sequence[str]) -> dict[str, Any]:
    """How well strangers are told from known physics."""
    far = [strange[name] for name in strangers]
    near = [value for name, value in strange.items() if name not in strangers]
    return {
        "area_under_roc": three(area(far, near)),
        "strangers_beyond_a_quarter": sum(value > 0.25 for value in far),
        "known_beyond_a_quarter": sum(value > 0.25 for value in near),
        "strangers": len(far), "known": len(near),
    }  # fmt: skip


def area(far: Sequence[float], near: Sequence[float]) -> float:
    """The chance that a stranger is stranger than known physics."""
    wins = [(f > n) + 0.5 * (f == n) for f in far for n in near]
    return float(np.mean(wins))


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over simulations, of every number."""
    keys = [key for key, value in rows[0].items() if isinstance(value, float)]
    return {key: three(float(np.median([row[key] for row in rows]))) for key in keys}


def shares(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Right verdicts of all, by rule; and by how many frames horizons were missed."""

    def right(said: str, was: str) -> float:
        return three(float(np.mean([(c[said] == c["asked"]) == (c[was] == c["asked"])
                                    for c in cases])))  # fmt: skip

    def old_right(said: str, was: str) -> float:
        return three(float(np.mean([c[said] == (c[was] == c["asked"]) for c in cases])))

    off = [(c["usable"] - c["was"]) / c["asked"] for c in cases]
    return {
        "verdicts": len(cases),
        "were_of_use": sum(c["was"] == c["asked"] for c in cases),
        "right": right("usable", "was"),
        "right_old": old_right("old", "was"),
        "right_old_without_routers": old_right("old_without_routers", "was"),
        "right_at_limit_of_a_tenth": right("said_accurate", "was_accurate"),
        "right_old_at_limit_of_a_tenth": old_right("old", "was_accurate"),
        "always_no": three(float(np.mean([c["was"] < c["asked"] for c in cases]))),
        "said_yes_wrongly": sum(c["usable"] == c["asked"] > c["was"] for c in cases),
        "old_said_yes_wrongly": sum(c["old"] and c["asked"] > c["was"] for c in cases),
        "frames_missed_over_asked": three(float(np.mean(np.abs(off)))),
        "frames_within_a_fifth_of_asked": three(float(np.mean(np.abs(off) <= 0.2))),
    }


def three(value: float) -> float:
    """Three significant digits; what is not finite is a word in JSON, so a large number."""
    return float(f"{value:.3g}") if np.isfinite(value) else 1e30


def compact(result: dict[str, Any]) -> str:
    """One line a case."""
    rows = ",\n  ".join(json.dumps(case, separators=(",", ":")) for case in result["cases"])
    parts = [f'"{key}": {json.dumps(value)}' for key, value in result.items() if key != "cases"]
    head = ",\n ".join(parts)
    return f'{{\n {head},\n "cases": [\n  {rows}\n ]\n}}'


if __name__ == "__main__":
    main()
