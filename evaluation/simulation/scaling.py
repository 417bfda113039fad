"""Other units for a model's eyes: a simulation in, the same with other values out, and back.

Networks that normalise each context still see how large its values were and how far from zero, in
the numbers of their training. A file in other units, or a temperature in kelvin, is like nothing
that they saw. A scaling shows each channel as (value - offset) / factor and undoes it in the
forecast. Errors are those of the file's values: far from zero any error is small beside them.
Axes: T frames, C channels, H rows, W columns.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.config import Config
from data_shards.errors import UserError, unknown_name
from data_shards.simulation_file import Simulation
from evaluation.simulation.known_frames import known_errors
from evaluation.simulation.on_model_grid import OnModelGrid
from foundation import Surrogate

Array = NDArray[np.float32]

AUTO = "auto"
_DOMINATES = 3.0  # deviations from zero, from which a mean is the better part of a field
_TERM = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<factor>[^+]+?)(?P<offset>(?<![eE])[+-].+)?")


class Moments(Config):
    """Mean and deviation of one channel, in its unit."""

    mean: float
    std: float


class Scaling(Config):
    """What a model sees of each channel: (value - offset) / factor."""

    factors: tuple[float, ...]
    offsets: tuple[float, ...]
    note: str = ""

    def applied(self, simulation: Simulation) -> Simulation:
        """The simulation in the model's values; solid cells stay 0.

        Raises:
            UserError: these do not fit into float32.
        """
        fields = (simulation.fields - self._column(self.offsets)) / self._column(self.factors)
        with np.errstate(over="ignore"):
            finite = np.isfinite(fields.astype(np.float32)).all()
        if not finite:
            raise UserError(f"{simulation.source}: --scale makes values beyond float32 of some")
        assumed = (*simulation.assumed, *([self.note] if self.note else []))
        return replace(
            simulation, fields=_in_fluid(fields, simulation.mask, simulation.fields),
            assumed=assumed,
        )  # fmt: skip

    def undone(self, simulation: Simulation) -> Simulation:
        """A forecast in the file's values again."""
        fields = self.in_file(simulation.fields)
        return replace(simulation, fields=_in_fluid(fields, simulation.mask, simulation.fields))

    def in_file(self, fields: Array) -> Array:
        """Fields (..., C, H, W) in the file's values; solid cells too, which no error counts."""
        with np.errstate(over="ignore", invalid="ignore"):  # a forecast may diverge
            values = fields * self._column(self.factors) + self._column(self.offsets)
            result: Array = values.astype(np.float32)
        return result

    def _column(self, values: Sequence[float]) -> NDArray[np.float64]:
        return np.array(values)[:, None, None]


def scaling_for(text: str, model: Surrogate, simulation: Simulation, steps: int | None) -> Scaling:
    """The scaling that somebody asks for: `auto`, or as `said_scaling`.

    Args:
        text: of `--scale`.
        model: that is to see the simulation.
        simulation: as its file was read.
        steps: frames of the forecast, if that is said.

    Raises:
        UserError: as `said_scaling` and `found_scaling`, or the model solves an equation.
    """
    if model.config.constraint is not None:
        raise UserError("--scale: the model solves an equation, which knows its own units")
    if text == AUTO:
        return found_scaling(model, simulation, steps)
    return said_scaling(text, simulation.channels)


def said_scaling(text: str, channels: Sequence[str]) -> Scaling:
    """A scaling as somebody writes it: "100" for all channels, "T=10+273,p=1e5" for some.

    Args:
        text: FACTOR or NAME=FACTOR, each with +OFFSET or -OFFSET perhaps, parted by commas.
        channels: names of all.

    Raises:
        UserError: no such channel, or no such numbers.
    """
    factors, offsets = dict.fromkeys(channels, 1.0), dict.fromkeys(channels, 0.0)
    for word in text.split(","):
        term = _TERM.fullmatch(word.strip())
        name = term["name"] if term else None
        if name is not None and name not in channels:
            raise UserError(f"--scale {text}: {unknown_name('channel', name, channels)}")
        try:
            factor, offset = float(term["factor"]), float(term["offset"] or 0)  # type: ignore[index]
        except (TypeError, ValueError):
            factor = offset = math.nan
        if not (math.isfinite(factor) and factor > 0 and math.isfinite(offset)):
            raise UserError(
                f"--scale {text}: wanted {AUTO}, FACTOR, or NAME=FACTOR+OFFSET,.. with factors "
                "above 0, as T=10+273"
            )
        for channel in channels if name is None else [name]:
            factors[channel], offsets[channel] = factor, offset
    return _named(channels, [*factors.values()], [*offsets.values()], "")


def found_scaling(model: Surrogate, simulation: Simulation, steps: int | None = None) -> Scaling:
    """The scaling under which known frames are met best, of those that make the file's mean and
    deviation the ones of some corpus of the training: the same whatever the file's units.

    Args:
        model: whose checkpoint tells these.
        simulation: as its file was read.
        steps: frames ahead that matter.

    Raises:
        UserError: the checkpoint does not tell them, or no frame is known to judge by.
    """
    known = training_moments(model)
    if not known:
        raise UserError(
            f"--scale {AUTO}: this checkpoint does not tell the values of its training; say the "
            "scale yourself, as --scale 100"
        )
    own = moments_of(simulation)
    context = model.config.context_frames
    best, least = None, math.inf
    for corpus, theirs in known.items():
        scaling = _towards(simulation.channels, own, theirs, corpus)
        seen = scaling.applied(simulation)
        errors = known_errors(OnModelGrid(model, seen), seen, context, steps)
        if errors is None:
            raise UserError(
                f"{simulation.source}: --scale {AUTO} is found by forecasts of known frames; give "
                f"at least {context + 1} frames, or say the scale, as --scale 100"
            )
        # Of what the model sees, so that the file's units change nothing; relative to repeating the
        # last frame, as offsets make errors small.
        ratio = errors.mean / floor if (floor := errors.floor_mean) else math.inf
        if best is None or ratio < least:
            best, least = scaling, ratio
    assert best is not None
    return best


def training_moments(model: Surrogate) -> dict[str, tuple[Moments, ...]]:
    """Of the channels of every corpus of the training, as the checkpoint tells; empty if not."""
    told: Mapping[str, Sequence[Mapping[str, Any]]] = model.about.get("statistics", {})
    return {
        corpus: tuple(Moments(mean=each["mean"], std=each["std"]) for each in channels)
        for corpus, channels in told.items()
    }


def moments_of(simulation: Simulation) -> tuple[Moments, ...]:
    """Of every channel, over all frames and fluid cells."""
    fields = simulation.fields.astype(np.float64)
    if simulation.mask is not None:
        fields = fields[:, :, simulation.mask >= 0.5]
    channels = fields.transpose(1, 0, *range(2, fields.ndim)).reshape(fields.shape[1], -1)
    return tuple(Moments(mean=float(row.mean()), std=float(row.std())) for row in channels)


def far_from_zero(simulation: Simulation, in_file: Callable[[Array], Array]) -> tuple[str, ...]:
    """A line for every channel whose mean dominates its deviation: relative errors are small there.

    Args:
        simulation: as its file was read, or as a model sees it in other units.
        in_file: gives the file's values of fields.
    """
    own = moments_of(replace(simulation, fields=in_file(simulation.fields)))
    lines = []
    for name, each in zip(simulation.channels, own, strict=True):
        if each.std > 0 and abs(each.mean) > _DOMINATES * each.std:
            deviations = 0.1 * math.hypot(each.mean, each.std) / each.std
            lines.append(
                f"{name} is far from zero ({each.mean:.4g}, and varies by {each.std:.3g}), which "
                f"makes relative errors small: 0.1 is {deviations:.2g} of its deviations; look at "
                "repeating the last frame"
            )
    return tuple(lines)


def _towards(
    channels: Sequence[str], own: Sequence[Moments], theirs: Sequence[Moments], corpus: str
) -> Scaling:
    factors, offsets = [], []
    for place, here in enumerate(own):
        there = theirs[min(place, len(theirs) - 1)]
        factor = here.std / there.std if here.std > 0 and there.std > 0 else 1.0
        factors.append(factor)
        offsets.append(here.mean - factor * there.mean)
    return _named(channels, factors, offsets, f", as large and as far from zero as in {corpus}")


def _named(
    channels: Sequence[str], factors: Sequence[float], offsets: Sequence[float], why: str
) -> Scaling:
    shown = ", ".join(
        f"({name} {'+' if offset < 0 else '-'} {abs(offset):.4g}) / {factor:.4g}"
        for name, factor, offset in zip(channels, factors, offsets, strict=True)
    )
    return Scaling(
        factors=tuple(factors),
        offsets=tuple(offsets),
        note=f"the model sees {shown}{why}; errors of the verdict are of the file's values",
    )


def _in_fluid(fields: NDArray[np.floating], mask: Array | None, solid: Array) -> Array:
    changed = fields if mask is None else np.where(mask > 0, fields, solid)
    with np.errstate(over="ignore"):
        result: Array = changed.astype(np.float32)
    return result
