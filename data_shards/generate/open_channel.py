"""Turbulence in an open channel: wall below, free surface above, stirred and driven along x.

In: ranges of a card. Out: velocity on the lower faces of the cells and pressure (T, 4, D, H, W).
Method: a pressure gradient, uniform in space, pulls the mean flow along x towards a bulk velocity,
random large waves of acceleration stir (`stirring`); smaller eddies come from them by themselves.
The flow develops on a coarse grid, goes on to the solver's grid and settles there, before the
first frame. Departures from a river: a flat surface that is not deformed, one with slip.
Units: depth of the channel and the acceleration of the stirring (root mean square) are 1.
"""

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from data_shards.box.grid import Box, Walls
from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.box_flow import BoxFlow
from data_shards.generate.box_frames import frames_of, one_thread, refined
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Solution, refinement
from data_shards.generate.stirring import Stirring
from data_shards.trajectory import Parameter

COARSEST = 8  # cells per side of a spin-up
WALLS: tuple[Walls, ...] = (None, ("no_slip", "free_slip"), None)
Interval = tuple[PositiveFloat, PositiveFloat]


class OpenChannelOptions(Config):
    """Ranges, and how a statistically steady flow is reached."""

    reynolds: Interval  # 1 / viscosity: of depth and sqrt(acceleration * depth)
    bulk_velocity: Interval  # that the pressure gradient pulls the mean flow to
    pull_time: PositiveFloat = 0.5  # within which it does
    band: Interval = (1.0, 2.0)  # wave numbers that are stirred, waves per depth
    waves: PositiveInt = 12
    memory: PositiveFloat = 0.5  # correlation time of the stirring
    frame_interval: PositiveFloat
    spin_up: NonNegativeFloat  # time on the coarse grid
    spin_up_resolution: PositiveInt
    settle: NonNegativeFloat  # time on the solver's grid before the first frame
    solver_resolution: PositiveInt
    courant: PositiveFloat = 0.5


REFINED = Refinement(OpenChannelOptions, {"solver_resolution": 2})


@one_thread()
def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory of a developed flow; stirring and fluid are the same at every resolution."""
    options = OpenChannelOptions.read(card.generator_options, f"card {card.name}")
    reynolds = float(np.exp(rng.uniform(*np.log(options.reynolds))))
    bulk = float(rng.uniform(*options.bulk_velocity))
    factor = refinement(resolution, options.solver_resolution)
    flow = developed(options, rng, 1 / reynolds, bulk, resolution * factor)
    fields = frames_of(flow, card.frames, options.frame_interval, factor)
    parameters: dict[str, Parameter] = {
        "reynolds": reynolds,
        "viscosity": 1 / reynolds,
        "bulk_velocity": bulk,
    }
    return Solution(fields, parameters, dt_s=options.frame_interval)


def developed(
    options: OpenChannelOptions,
    rng: np.random.Generator,
    viscosity: float,
    bulk: float,
    cells: int,
) -> BoxFlow:
    """A flow that has forgotten its start, on a grid of `cells` a side."""
    coarse = channel(spin_up_cells(cells, options.spin_up_resolution))
    stirring = Stirring(rng, coarse, options.band, options.waves, options.memory)
    flow = driven(coarse, stirring, viscosity, bulk, options)
    flow.velocity[0] = bulk
    flow.advance(options.spin_up)
    if cells == coarse.grid[-1]:
        flow.advance(options.settle)
        return flow
    fine = channel(cells)
    finer = driven(fine, stirring.on(fine), viscosity, bulk, options)
    finer.velocity, finer.time = refined(flow.velocity, cells // coarse.grid[-1]), flow.time
    finer.advance(options.settle)
    return finer


def spin_up_cells(cells: int, most: int) -> int:
    """The largest divisor of `cells` up to `most`; all cells if it is too coarse for eddies."""
    largest = max(n for n in range(1, min(cells, most) + 1) if cells % n == 0)
    return largest if largest >= COARSEST else cells


def channel(cells: int) -> Box:
    """The empty domain, a cube of side 1."""
    return Box((cells,) * 3, (1.0,) * 3, WALLS)


def driven(
    box: Box, stirring: Stirring, viscosity: float, bulk: float, options: OpenChannelOptions
) -> BoxFlow:
    """A flow at rest under stirring and a pressure gradient that heeds its mean velocity."""

    def drive(time: float) -> Tensor:
        pull = torch.zeros(3, 1, 1, 1, dtype=torch.float64)
        pull[0] = (bulk - flow.velocity[0].mean()) / options.pull_time
        return stirring(time) + pull

    flow = BoxFlow(box, viscosity, drive, courant=options.courant)
    return flow
