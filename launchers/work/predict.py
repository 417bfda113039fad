"""What `foundation predict` does: continue a simulation, or answer a steady problem."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.simulation_file import Simulation, write_simulation
from data_shards.simulation_file.write import check_suffix
from evaluation.records.results import check_writable
from evaluation.simulation.answer_picture import draw_answer
from evaluation.simulation.bands import (
    BandReport,
    MemberTerms,
    banded_forecast,
    calibration_of,
)
from evaluation.simulation.error_curve import errors_beside
from evaluation.simulation.on_model_grid import forecast
from evaluation.simulation.pictures import animate, draw_sheet
from evaluation.simulation.report import judge
from evaluation.simulation.scaling import Scaling, scaling_for
from evaluation.simulation.solution import solve
from foundation import Surrogate
from foundation.models.members import ensemble_fingerprint
from foundation.nn.device import float32_products
from launchers.console.device import arithmetic, open_placed
from launchers.console.progress import say
from launchers.console.simulation import (
    open_problem,
    open_simulation,
)

_MOST_BYTES = 8 << 30  # of a forecast, which is held in memory


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    if options.output is not None and options.output.is_dir():
        raise UserError(
            f"{options.output}: a folder; give --output the name of a file, of the input's format"
        )
    with float32_products(rounded=options.tf32):
        _predict(options)


def _predict(options: argparse.Namespace) -> None:
    model = open_placed(options)
    steady = bool(model.config.layout.slots)
    if options.output is None:
        ending = "answer" if steady else "forecast"
        options.output = Path(f"{options.file.stem}_{ending}{options.file.suffix}")
    (_answer if steady else _continue)(options, model)


def _continue(options: argparse.Namespace, model: Surrogate) -> None:
    """The future of a simulation."""
    if options.steps is None:
        raise UserError("how many frames? Say it by --steps N")
    terms = _member_terms(options)
    companions = _companions(options, ".png", ".gif", ".report.txt", ".report.json")
    simulation = open_simulation(options, model)
    check_suffix(options.output, simulation)
    size = options.steps * simulation.fields[0].nbytes
    if size > _MOST_BYTES:
        raise UserError(
            f"--steps {options.steps}: the forecast would have {size / 2**30:.0f} GiB, more than "
            f"{_MOST_BYTES >> 30}; ask for fewer, and go on from its end"
        )
    said = options.scale
    scaling = None if said is None else scaling_for(said, model, simulation, options.steps)
    seen = scaling.applied(simulation) if scaling else simulation
    report = judge(model, seen, options.checkpoint, options.steps, scaling=scaling)
    future = forecast(model, seen, options.steps, report.keeps_detail)
    text, plain = report.text, {**report.plain(), "computed_in": arithmetic(options, model)}
    if terms is not None:
        future, bands = _banded(options, model, seen, future, terms, report.keeps_detail)
        text, plain = f"{text}\n\n{bands.text}", {**plain, "bands": bands.model_dump(mode="json")}
    future = _undone(future, scaling)
    beside = errors_beside(report.errors, options.steps)
    write_simulation(replace(future, by_frame=beside), options.output, overwrite=options.overwrite)
    _write(companions[".report.txt"], f"{text}\n".encode())
    _write(companions[".report.json"], f"{json.dumps(plain, indent=1)}\n".encode())
    _write(companions[".png"], draw_sheet(simulation, future, report.errors))
    film = animate(simulation, future, model.config.context_frames, report.errors)
    _write(companions[".gif"], film)
    bad = ~np.isfinite(future.fields).all((1, 2, 3))
    if bad.any():
        say(f"warning: the forecast is not finite from its frame {int(bad.argmax()) + 1} on")
    _tell(text, "forecast", options.output, companions)


def _member_terms(options: argparse.Namespace) -> MemberTerms | None:
    """How members differ; None of a single forecast.

    Raises:
        UserError: too few members, or none that differ.
    """
    checkpoints = 1 + len(options.also)
    if options.members is None and checkpoints == 1:
        return MemberTerms(1, 0.0) if options.bands else None
    count = options.members or checkpoints
    if count < max(2, checkpoints):
        raise UserError(
            f"--members {count} of {checkpoints} checkpoints: ask for {max(2, checkpoints)} or more"
        )
    if count > checkpoints and options.noise == 0:
        raise UserError("--noise 0: members of one checkpoint differ by noise alone; raise it")
    if options.output.suffix.lower() == ".npy":
        raise UserError("--members: an NPY file holds one array and no bands; give an .npz")
    return MemberTerms(count, options.noise, options.seed)


def _banded(
    options: argparse.Namespace,
    model: Surrogate,
    seen: Simulation,
    future: Simulation,
    terms: MemberTerms,
    keep_detail: bool,
) -> tuple[Simulation, BandReport]:
    """The forecast by members in the place of the single one, bands beside it."""
    models = [model, *(open_placed(options, checkpoint) for checkpoint in options.also)]
    calibration = None
    if options.bands is not None:
        prints = [each.fingerprint for each in models]
        own = prints[0]
        if terms.count > 1:
            own = ensemble_fingerprint(prints, terms.count, terms.noise, terms.seed)
        calibration = calibration_of(options.bands, own, options.like)
    found = banded_forecast(models, seen, options.steps, terms, keep_detail, calibration)
    beside = {"_low": found.low, "_high": found.high}
    return replace(future, fields=found.mean, beside=beside), found.report


def _undone(future: Simulation, scaling: Scaling | None) -> Simulation:
    """A forecast and what is beside it in the file's values again."""
    if scaling is None:
        return future
    beside = {
        ending: scaling.undone(replace(future, fields=fields)).fields
        for ending, fields in future.beside.items()
    }
    return replace(scaling.undone(future), beside=beside)


def _answer(options: argparse.Namespace, model: Surrogate) -> None:
    """The answer to a steady problem."""
    if options.members is not None or options.also or options.bands:
        raise UserError("--members: bands are of forecasts; a steady problem has its residual")
    if options.steps is not None:
        raise UserError("--steps: a steady problem has no next frames; leave it out")
    companions = _companions(options, ".png", ".report.txt", ".report.json")
    problem = open_problem(options, model)
    check_suffix(options.output, problem.planes)
    answer = solve(model, problem)
    write_simulation(answer.solution, options.output, overwrite=options.overwrite)
    _write(companions[".report.txt"], f"{answer.trust.text}\n".encode())
    told = json.loads(answer.trust.model_dump_json()) | {"computed_in": arithmetic(options, model)}
    _write(companions[".report.json"], f"{json.dumps(told, indent=1)}\n".encode())
    _write(companions[".png"], draw_answer(problem, answer))
    _tell(answer.trust.text, "answer", options.output, companions)


def _companions(options: argparse.Namespace, *kinds: str) -> dict[str, Path]:
    """Files beside the output, by ending; refuses those that may not be written."""
    companions = {kind: options.output.with_suffix(kind) for kind in kinds}
    for path in (options.output, *companions.values()):
        check_writable(path, options.overwrite)
    return companions


def _write(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content)
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error})") from None


def _tell(report: str, what: str, output: Path, companions: dict[str, Path]) -> None:
    print(report)
    print(f"\n{what}: {output}")
    for path in companions.values():
        print(f"beside it: {path}")
