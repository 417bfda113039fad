"""Three classic incompressible flows: lid-driven cavity, tube, cylinder in a channel.

In: ranges of a card. Out: velocities in m/s at the cell centres (T, 2, H, W),
mask of the cylinder, physical parameters.
Source: problems of CFDBench (arXiv:2310.05963), at Reynolds numbers that the
grid resolves. Each flow is solved in its own units (lid or inflow velocity and
cavity width, tube height or cylinder diameter) and scaled afterwards.
Departures: the cylinder's wake is developed before the first frame and its mask is
centred on it; by choice of the options, frames are a fixed fraction of the flow time
apart and the tube's inflow rises over several frames.
"""

from dataclasses import dataclass
from math import exp, log
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, block_average, refinement
from data_shards.generate.staggered import StaggeredFlow
from data_shards.trajectory import Parameter

Interval = tuple[PositiveFloat, PositiveFloat]
Problem = Literal["cavity", "tube", "cylinder"]
NUDGE = (
    0.5  # cross-flow at the start of the cylinder, so that shedding need not grow from round-off
)
ATTEMPTS = 10_000  # draws of a fluid before its ranges are called contradictory


class NativeInterval(Config):
    """Frames as far apart as the published ones."""

    dt_s: PositiveFloat
    between: Interval  # flow times; flows for which dt_s is less or more are drawn again


FrameInterval = PositiveFloat | NativeInterval  # a number is in flow times


class CavityOptions(Config):
    """Ranges; aspect is height over width, the flow time is width over velocity."""

    velocity: Interval
    density: Interval
    width: Interval
    aspect: Interval
    reynolds: Interval
    frame_interval: FrameInterval


class TubeOptions(Config):
    """Ranges; aspect is width over height, the flow time is width over velocity, the rise
    time is in frame intervals (None: the inflow is there at once)."""

    velocity: Interval
    density: Interval
    height: Interval
    aspect: Interval
    reynolds: Interval
    rise_time: Interval | None
    frame_interval: FrameInterval


class CylinderOptions(Config):
    """Ranges; distances from the centre in diameters, the spin-up in flow times, which are
    diameters over velocity."""

    velocity: Interval
    density: Interval
    radius: Interval
    half_height: Interval
    upstream: Interval
    downstream: Interval
    reynolds: Interval
    spin_up: Interval
    frame_interval: FrameInterval


class IncompressibleOptions(Config):
    """All three problems."""

    problems: tuple[Problem, ...] = Field(("cavity", "tube", "cylinder"), min_length=1)
    solver_resolution: PositiveInt = 64
    cavity: CavityOptions
    tube: TubeOptions
    cylinder: CylinderOptions


REFINED = Refinement(IncompressibleOptions, {"solver_resolution": 2})


@dataclass(frozen=True)
class Fluid:
    """Velocity (m/s), density (kg/m3) and viscosity (Pa s) that give a Reynolds number."""

    velocity: float
    density: float
    viscosity: float
    reynolds: float

    def parameters(self) -> dict[str, Parameter]:
        """What goes into the trajectory."""
        return {
            "velocity": self.velocity,
            "density": self.density,
            "viscosity": self.viscosity,
            "reynolds": self.reynolds,
        }


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory of the problem that the index picks among the card's, in turn."""
    options = IncompressibleOptions.read(card.generator_options, f"card {card.name}")
    factor = refinement(resolution, options.solver_resolution)
    cells = resolution * factor
    problem = options.problems[index % len(options.problems)]
    if problem == "cavity":
        solution = _cavity(options.cavity, card, rng, cells)
    elif problem == "tube":
        solution = _tube(options.tube, card, rng, cells)
    else:
        solution = _cylinder(options.cylinder, card, rng, cells)
    return _coarsened(solution, factor, problem)


def _coarsened(solution: Solution, factor: int, problem: str) -> Solution:
    """Means over the solver's cells; an output cell is solid where most of its cells are."""
    fields = block_average(np.asarray(solution.fields), factor)
    mask = solution.mask
    if mask is not None:
        mask = (block_average(np.asarray(mask), factor) > 0.5).astype(float)
        fields = fields * mask
    return Solution(
        fields,
        {"problem": problem, **solution.parameters},
        solution.dt_s,
        solution.extent,
        solution.boundary,
        mask,
    )


def _log_uniform(rng: np.random.Generator, interval: Interval) -> float:
    return exp(rng.uniform(log(interval[0]), log(interval[1])))


def draw_fluid(
    rng: np.random.Generator,
    options: CavityOptions | TubeOptions | CylinderOptions,
    length: float,
    card: CorpusCard,
    *,
    flow_length: float | None = None,
) -> Fluid:
    """A fluid whose viscosity, density * velocity * length / reynolds, is on the card.

    Args:
        rng: drawn from three times per attempt.
        options: ranges of the problem.
        length: in the Reynolds number, m.
        card: gives the range of the viscosity.
        flow_length: in the flow time, m; None if it is the same.

    Raises:
        UserError: no fluid of these ranges fits.
    """
    allowed = card.parameters["viscosity"]
    for _ in range(ATTEMPTS):
        velocity = _log_uniform(rng, options.velocity)
        density = _log_uniform(rng, options.density)
        reynolds = _log_uniform(rng, options.reynolds)
        viscosity = density * velocity * length / reynolds
        moves = _moves(options.frame_interval, (flow_length or length) / velocity)
        if moves and allowed.low <= viscosity <= allowed.high:
            return Fluid(velocity, density, viscosity, reynolds)
    raise UserError(
        f"card {card.name}: no fluid in {ATTEMPTS} draws has a viscosity within "
        f"[{allowed.low:g}, {allowed.high:g}] and the frame interval {options.frame_interval} at "
        f"a length of {length:.3g} m; widen the ranges in generator_options"
    )


def _moves(interval: FrameInterval, flow_time_s: float) -> bool:
    """Whether frames at a published interval show the flow neither frozen nor steady."""
    if isinstance(interval, float):
        return True
    low, high = interval.between
    return low <= interval.dt_s / flow_time_s <= high


def _in_flow_times(interval: FrameInterval, flow_time_s: float) -> float:
    return interval if isinstance(interval, float) else interval.dt_s / flow_time_s


def _frames(flow: StaggeredFlow, count: int, interval: float) -> Array:
    """Velocities at the cell centres after 1, 2, ... intervals, (T, 2, H, W)."""
    frames = []
    for _ in range(count):
        flow.advance(interval)
        frames.append(flow.at_centres())
    return np.stack(frames)


def _cavity(
    options: CavityOptions, card: CorpusCard, rng: np.random.Generator, cells: int
) -> Solution:
    """Start-up from rest; the lid moves from t = 0 on."""
    width = float(rng.uniform(*options.width))
    aspect = _log_uniform(rng, options.aspect)
    fluid = draw_fluid(rng, options, width, card)
    interval = _in_flow_times(options.frame_interval, width / fluid.velocity)
    flow = StaggeredFlow((cells, cells), (1.0, aspect), 1 / fluid.reynolds, lid=1.0)
    frames = _frames(flow, card.frames, interval)
    height = aspect * width
    return Solution(
        frames * fluid.velocity,
        {**fluid.parameters(), "height": height, "width": width},
        dt_s=interval * width / fluid.velocity,
        extent=(0.0, width, 0.0, height),
        boundary={"left": "no_slip", "right": "no_slip", "bottom": "no_slip", "top": "moving_lid"},
    )


CHANNEL = {"left": "inflow", "right": "outflow", "bottom": "no_slip", "top": "no_slip"}


def _tube(options: TubeOptions, card: CorpusCard, rng: np.random.Generator, cells: int) -> Solution:
    """A uniform inflow rises from rest; layers grow from the walls towards Poiseuille's profile."""
    height = float(rng.uniform(*options.height))
    aspect = _log_uniform(rng, options.aspect)
    width = aspect * height
    fluid = draw_fluid(rng, options, height, card, flow_length=width)
    second = height / fluid.velocity  # the flow's unit of time
    interval = _in_flow_times(options.frame_interval, aspect * second) * aspect
    rise = options.rise_time
    rise_time = 0.0 if rise is None else interval * float(rng.uniform(*rise))
    flow = StaggeredFlow(
        (cells, cells), (aspect, 1.0), 1 / fluid.reynolds, inflow=1.0, rise_time=rise_time
    )
    frames = _frames(flow, card.frames, interval)
    rising: dict[str, Parameter] = {} if rise is None else {"rise_time": rise_time * second}
    return Solution(
        frames * fluid.velocity,
        {**fluid.parameters(), "height": height, "width": width, **rising},
        dt_s=interval * second,
        extent=(0.0, width, 0.0, height),
        boundary=CHANNEL,
    )


def _cylinder(
    options: CylinderOptions, card: CorpusCard, rng: np.random.Generator, cells: int
) -> Solution:
    """A wake that already sheds vortices, at a random phase."""
    radius = float(rng.uniform(*options.radius))
    upstream, downstream = rng.uniform(*options.upstream), rng.uniform(*options.downstream)
    half_height = float(rng.uniform(*options.half_height))
    spin_up = float(rng.uniform(*options.spin_up))
    fluid = draw_fluid(rng, options, 2 * radius, card)
    box = (-float(upstream), float(downstream), -half_height, half_height)
    flow, solid = cylinder_flow(cells, box, fluid.reynolds)
    diameter = 2 * radius
    interval = _in_flow_times(options.frame_interval, diameter / fluid.velocity)
    for _ in range(round(spin_up / interval)):
        flow.advance(interval)
    frames = _frames(flow, card.frames, interval)
    extent = (box[0] * diameter, box[1] * diameter, box[2] * diameter, box[3] * diameter)
    sides = dict(zip(("x_min", "x_max", "y_min", "y_max"), extent, strict=True))
    return Solution(
        frames * fluid.velocity,
        {**fluid.parameters(), "radius": radius, **sides},
        dt_s=interval * diameter / fluid.velocity,
        extent=extent,
        boundary=CHANNEL,
        mask=1.0 - solid,
    )


def cylinder_flow(
    cells: int, box: tuple[float, float, float, float], reynolds: float
) -> tuple[StaggeredFlow, NDArray[np.bool_]]:
    """Flow of speed 1 around a cylinder of diameter 1 at the origin, and its solid cells.

    Args:
        cells: N of the N x N grid.
        box: x_min, x_max, y_min, y_max in diameters.
        reynolds: of diameter and inflow.
    """
    x_min, x_max, y_min, y_max = box
    centre = (np.arange(cells) + 0.5) / cells
    x, y = x_min + (x_max - x_min) * centre, y_min + (y_max - y_min) * centre
    solid = np.hypot(x[None, :], y[:, None]) < 0.5
    lengths = (x_max - x_min, y_max - y_min)
    flow = StaggeredFlow((cells, cells), lengths, 1 / reynolds, inflow=1.0, solid=solid)
    behind = (x[None, :] > 0) & (x[None, :] < 2) & (np.abs(y[:, None]) < 1)
    flow.v[1:] += NUDGE * behind
    flow.project(flow.u, flow.v)
    return flow, solid
