"""Three classic incompressible flows: lid-driven cavity, tube, cylinder in a channel.

In: ranges of a card. Out: velocities in m/s at the cell centres (T, 2, H, W),
mask of the cylinder, physical parameters.
Source: problems of CFDBench (arXiv:2310.05963), at Reynolds numbers that the
grid resolves. Each flow is solved in its own units (lid or inflow velocity and
cavity width, tube height or cylinder diameter) and scaled afterwards.
Departures: frames are a fixed fraction of the flow time apart, the tube's inflow
rises over several frames, the cylinder's wake is developed before the first frame,
and its mask is centred on it.
"""

from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.solution import Array, Solution, block_average, refinement
from data_shards.generate.staggered import StaggeredFlow
from data_shards.trajectory import Parameter

Interval = tuple[PositiveFloat, PositiveFloat]
PROBLEMS = ("cavity", "tube", "cylinder")
NUDGE = (
    0.5  # cross-flow at the start of the cylinder, so that shedding need not grow from round-off
)


class CavityOptions(Config):
    """Ranges; aspect is height over width, the frame interval in widths over velocity."""

    velocity: Interval
    density: Interval
    width: Interval
    aspect: Interval
    reynolds: Interval
    frame_interval: PositiveFloat


class TubeOptions(Config):
    """Ranges; aspect is width over height, the frame interval in widths over velocity, the
    rise time in frame intervals."""

    velocity: Interval
    density: Interval
    height: Interval
    aspect: Interval
    reynolds: Interval
    rise_time: Interval
    frame_interval: PositiveFloat


class CylinderOptions(Config):
    """Ranges; distances from the centre in diameters, times in diameters over velocity."""

    velocity: Interval
    density: Interval
    radius: Interval
    half_height: Interval
    upstream: Interval
    downstream: Interval
    reynolds: Interval
    spin_up: Interval
    frame_interval: PositiveFloat


class IncompressibleOptions(Config):
    """All three problems."""

    solver_resolution: PositiveInt = 64
    cavity: CavityOptions
    tube: TubeOptions
    cylinder: CylinderOptions


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
    """One trajectory of the problem that the index picks, in turn."""
    options = IncompressibleOptions.read(card.generator_options, f"card {card.name}")
    factor = refinement(resolution, options.solver_resolution)
    cells = resolution * factor
    problem = PROBLEMS[index % len(PROBLEMS)]
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
) -> Fluid:
    """A fluid whose viscosity, density * velocity * length / reynolds, is on the card."""
    allowed = card.parameters["viscosity"]
    while True:
        velocity = _log_uniform(rng, options.velocity)
        density = _log_uniform(rng, options.density)
        reynolds = _log_uniform(rng, options.reynolds)
        viscosity = density * velocity * length / reynolds
        if allowed.low <= viscosity <= allowed.high:
            return Fluid(velocity, density, viscosity, reynolds)


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
    flow = StaggeredFlow((cells, cells), (1.0, aspect), 1 / fluid.reynolds, lid=1.0)
    frames = _frames(flow, card.frames, options.frame_interval)
    height = aspect * width
    return Solution(
        frames * fluid.velocity,
        {**fluid.parameters(), "height": height, "width": width},
        dt_s=options.frame_interval * width / fluid.velocity,
        extent=(0.0, width, 0.0, height),
        boundary={"left": "no_slip", "right": "no_slip", "bottom": "no_slip", "top": "moving_lid"},
    )


CHANNEL = {"left": "inflow", "right": "outflow", "bottom": "no_slip", "top": "no_slip"}


def _tube(options: TubeOptions, card: CorpusCard, rng: np.random.Generator, cells: int) -> Solution:
    """A uniform inflow rises from rest; layers grow from the walls towards Poiseuille's profile."""
    height = float(rng.uniform(*options.height))
    aspect = _log_uniform(rng, options.aspect)
    fluid = draw_fluid(rng, options, height, card)
    interval = options.frame_interval * aspect
    rise_time = interval * float(rng.uniform(*options.rise_time))
    flow = StaggeredFlow(
        (cells, cells), (aspect, 1.0), 1 / fluid.reynolds, inflow=1.0, rise_time=rise_time
    )
    frames = _frames(flow, card.frames, interval)
    width = aspect * height
    second = height / fluid.velocity  # the flow's unit of time
    return Solution(
        frames * fluid.velocity,
        {
            **fluid.parameters(),
            "height": height,
            "width": width,
            "rise_time": rise_time * second,
        },
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
    for _ in range(round(spin_up / options.frame_interval)):
        flow.advance(options.frame_interval)
    frames = _frames(flow, card.frames, options.frame_interval)
    diameter = 2 * radius
    extent = (box[0] * diameter, box[1] * diameter, box[2] * diameter, box[3] * diameter)
    sides = dict(zip(("x_min", "x_max", "y_min", "y_max"), extent, strict=True))
    return Solution(
        frames * fluid.velocity,
        {**fluid.parameters(), "radius": radius, **sides},
        dt_s=options.frame_interval * diameter / fluid.velocity,
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
