"""A user's own file: `simulation_options` in, the model and what it goes on from out."""

import argparse
import math
from dataclasses import replace

from data_shards.errors import UserError, unknown_name
from data_shards.simulation_file import Reading, Simulation, read_simulation
from data_shards.simulation_file.problem import Problem, read_problem
from evaluation.simulation.on_model_grid import check_fits
from evaluation.simulation.training_hints import training_hints
from foundation import Surrogate
from launchers.console.device import open_continuing
from launchers.console.progress import say


def open_both(options: argparse.Namespace) -> tuple[Surrogate, Simulation]:
    """The model and the simulation; what was assumed is said on stderr.

    Raises:
        UserError: one of them cannot be read, or they do not fit.
    """
    model = open_continuing(options)
    return model, open_simulation(options, model)


def open_simulation(options: argparse.Namespace, model: Surrogate) -> Simulation:
    """The frames that a model is to continue; what was assumed is said on stderr.

    Raises:
        UserError: it cannot be read, or does not fit the model.
    """
    channels = options.channels or ""
    reading = Reading(
        axes=options.axes,
        channels=tuple(n.strip() for n in channels.split(",") if n.strip()) or None,
        mask=options.mask,
        sample=options.sample,
        boundary=options.boundary,
        frames=model.config.context_frames,
    )
    said = _said_of_equation(options, model)
    simulation = read_simulation(options.file, reading)
    simulation = replace(
        simulation, numbers={**simulation.numbers, **said}, said_step=options.time_step
    )
    for line in (*simulation.assumed, *training_hints(model, simulation)):
        say(f"assumed: {line}")
    check_fits(model, simulation)
    return simulation


def _said_of_equation(options: argparse.Namespace, model: Surrogate) -> dict[str, float]:
    """Coefficients of the equation that a model is under.

    Raises:
        UserError: it is under none, or has no such coefficient.
    """
    constraint = model.config.constraint
    said = _numbers(options)
    if constraint is None and (said or options.time_step is not None):
        option = "--parameters" if said else "--time-step"
        raise UserError(f"{option}: this model never sees any; leave it out")
    for name in said:
        if constraint is not None and name not in (known := constraint.evolution.parameters):
            raise UserError(f"--parameters {name}: {unknown_name('parameter', name, known)}")
    return said


def open_problem(options: argparse.Namespace, model: Surrogate) -> Problem:
    """The steady problem that a model with named channels is to answer.

    Raises:
        UserError: it cannot be read, or an option is one of simulations that go on.
    """
    for name in ("axes", "mask", "boundary", "time_step", "scale"):
        if getattr(options, name) is not None:
            raise UserError(
                f"--{name.replace('_', '-')}: the model answers steady problems on a periodic plane"
            )
    problem = read_problem(
        options.file,
        model.config.layout.slots,
        renamed=dict(_pairs(options.channels, "--channels")),
        parameters=_numbers(options),
        sample=options.sample,
    )
    for line in problem.assumed:
        say(f"assumed: {line}")
    return problem


def _pairs(text: str | None, option: str) -> list[tuple[str, str]]:
    """ "a=b,c=d" as pairs."""
    words = [word.partition("=") for word in (text or "").split(",") if word.strip()]
    pairs = [(name.strip(), value.strip()) for name, _, value in words]
    if not all(name and value for name, value in pairs) or len(dict(pairs)) < len(pairs):
        raise UserError(f"{option} {text}: wanted NAME=VALUE,NAME=VALUE, each name once")
    return pairs


def _numbers(options: argparse.Namespace) -> dict[str, float]:
    pairs = _pairs(options.parameters, "--parameters")
    return {name: _number(name, text) for name, text in pairs}


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"--parameters {name}={text}: not a number") from None
    if not math.isfinite(value):
        raise UserError(f"--parameters {name}={text}: not a finite number")
    return value
