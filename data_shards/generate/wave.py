"""Acoustic pulses in a layered or a smoothly varying medium: random medium in, frames out.

Axes: H rows (y), W columns (x); the unit square, whose sides let waves out.
In: u_tt = c^2 lap(u), released from rest as a sum of Gaussian pulses of height 1;
c is constant in curved layers, or a level plus four Gaussian bumps.
Source: Wave-Layer and Wave-Gauss of Poseidon (arXiv:2405.19101), its ranges. They
give speeds in m/s and leave the length of the box open; `box` below, the metres that
a wave crosses in the time of a trajectory, is chosen so that mean and variance over
all frames are those of the published files. Departures: an absorbing layer that
returns 1e-5, pulses a given distance apart, layers whose interfaces are sums of sines
scaled so that they never meet.
"""

from collections.abc import Callable
from math import pi
from typing import Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt, model_validator

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.leapfrog import solve
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, block_average, refinement
from data_shards.trajectory import Parameter

Interval = tuple[PositiveFloat, PositiveFloat]
Medium = Callable[[Array, Array], Array]  # x, y -> speed in m/s
CORNERS = ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75))  # bumps start from these
SUBDIVISION = 4  # points per cell and direction over which 1 / c^2 is averaged
TRIES = 1000


class PulseOptions(Config):
    """Initial displacement; lengths in widths of the box."""

    number: tuple[PositiveInt, PositiveInt] = (2, 6)
    width: Interval = (0.039, 0.156)  # standard deviation
    place: Interval = (1 / 6, 5 / 6)  # of the centres, along both axes
    apart: PositiveFloat = 0.12  # least distance of two centres


class LayerOptions(Config):
    """Speeds of horizontal layers and the shape of the interfaces between them."""

    number: tuple[PositiveInt, PositiveInt] = (3, 6)
    speed: Interval = (2000.0, 5000.0)  # m/s
    modes: PositiveInt = 10  # sines per interface
    height: PositiveFloat = 0.8  # of an interface's waves, in thicknesses of a layer; below 1


class BumpOptions(Config):
    """A level and four Gaussian bumps on it."""

    level: Interval = (1500.0, 2500.0)  # m/s
    rise: Interval = (1000.0, 2500.0)  # m/s
    width: Interval = (1 / 12, 1 / 6)
    offset: PositiveFloat = 0.3125  # of a bump from its corner, along both axes, at most


class WaveOptions(Config):
    """Exactly one of the two media."""

    pulses: PulseOptions = PulseOptions()
    layers: LayerOptions | None = None
    bumps: BumpOptions | None = None
    box: PositiveFloat  # m/s that cross the box once in a unit of time
    solver_resolution: PositiveInt = 128
    absorber: PositiveFloat = 0.15  # width of the absorbing frame
    courant: PositiveFloat = 0.7

    @model_validator(mode="after")
    def _one_medium(self) -> Self:
        if (self.layers is None) == (self.bumps is None):
            raise ValueError(
                f"layers={self.layers} and bumps={self.bumps}; fill in exactly one of them"
            )
        return self


REFINED = Refinement(WaveOptions, {"solver_resolution": 2})  # the step follows the grid


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory from t = 0 on; pulses and medium are the same at every resolution."""
    options = WaveOptions.read(card.generator_options, f"card {card.name}")
    factor = refinement(resolution, options.solver_resolution)
    cells = resolution * factor
    absorber = max(round(options.absorber * cells), 1)
    centres, widths = draw_pulses(rng, options.pulses)
    medium, parameters = _draw_medium(rng, options)
    places = (np.arange(-absorber, cells + absorber) + 0.5) / cells
    frames = solve(
        displacement(places, centres, widths),
        mean_slowness2(medium, places, 1 / cells) * options.box**2,
        lengths=(1.0, 1.0),
        num_frames=card.frames,
        frame_interval=card.dt_s or 1.0,
        courant=options.courant,
        absorber=absorber,
    )
    return Solution(block_average(frames, factor)[:, None], {"pulses": len(widths), **parameters})


def draw_pulses(rng: np.random.Generator, options: PulseOptions) -> tuple[Array, Array]:
    """Centres (N, 2) and widths (N,) of Gaussian pulses.

    Raises:
        ArithmeticError: that many do not fit at that distance.
    """
    count = int(rng.integers(options.number[0], options.number[1] + 1))
    centres: list[Array] = []
    for _ in range(TRIES):
        centre = rng.uniform(*options.place, size=2)
        if all(np.hypot(*(centre - other)) >= options.apart for other in centres):
            centres.append(centre)
        if len(centres) == count:
            return np.stack(centres), rng.uniform(*options.width, size=count)
    raise ArithmeticError(f"{count} pulses do not fit {options.apart} apart; lower pulses.apart")


def displacement(places: Array, centres: Array, widths: Array) -> Array:
    """The pulses' sum (N, N) at x and y in `places` (N,)."""
    along_x = np.exp(-((places - centres[:, :1]) ** 2) / (2 * widths[:, None] ** 2))
    along_y = np.exp(-((places - centres[:, 1:]) ** 2) / (2 * widths[:, None] ** 2))
    return np.asarray(along_y.T @ along_x)


def mean_slowness2(medium: Medium, places: Array, cell: float) -> Array:
    """Mean of 1 / c^2 over each cell (N, N), s2/m2; beyond the box the medium goes on evenly."""
    shifts = ((np.arange(SUBDIVISION) + 0.5) / SUBDIVISION - 0.5) * cell
    fine = np.clip((places[:, None] + shifts).ravel(), 0.0, 1.0)
    speed = medium(fine[None, :], fine[:, None])
    return block_average(1 / speed**2, SUBDIVISION)


def _draw_medium(
    rng: np.random.Generator, options: WaveOptions
) -> tuple[Medium, dict[str, Parameter]]:
    if options.layers is not None:
        return draw_layers(rng, options.layers)
    assert options.bumps is not None
    return draw_bumps(rng, options.bumps)


def draw_layers(
    rng: np.random.Generator, options: LayerOptions
) -> tuple[Medium, dict[str, Parameter]]:
    """Layers of equal mean thickness, from below."""
    count = int(rng.integers(options.number[0], options.number[1] + 1))
    speeds = rng.uniform(*options.speed, size=count)
    shape = (count - 1, options.modes)
    weights = rng.uniform(-1, 1, shape) / np.arange(1, options.modes + 1)
    weights /= np.abs(weights).sum(axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * pi, shape)

    def medium(x: Array, y: Array) -> Array:
        crossed = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.intp)
        for interface in range(count - 1):
            waves = np.zeros(x.shape)
            for mode in range(options.modes):
                angle = 2 * pi * (mode + 1) * x + phases[interface, mode]
                waves += weights[interface, mode] * np.sin(angle)
            crossed += y > (interface + 1 + 0.5 * options.height * waves) / count
        return np.asarray(speeds[crossed])

    return medium, {
        "layers": count,
        "slowest": float(speeds.min()),
        "fastest": float(speeds.max()),
    }


def draw_bumps(
    rng: np.random.Generator, options: BumpOptions
) -> tuple[Medium, dict[str, Parameter]]:
    """A bump near the middle of every quarter of the box."""
    level = float(rng.uniform(*options.level))
    rises = rng.uniform(*options.rise, size=len(CORNERS))
    widths = rng.uniform(*options.width, size=len(CORNERS))
    centres = np.array(CORNERS) + rng.uniform(-options.offset, options.offset, (len(CORNERS), 2))

    def medium(x: Array, y: Array) -> Array:
        speed = np.full(np.broadcast_shapes(x.shape, y.shape), level)
        for rise, width, (at_x, at_y) in zip(rises, widths, centres, strict=True):
            speed += rise * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2))
        return speed

    return medium, {"level": level, "highest_bump": float(rises.max())}
