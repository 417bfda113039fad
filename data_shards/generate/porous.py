"""Flow through random porous media in a periodic cube, no slip on the solid.

In: ranges of a card. Out: velocity on the lower faces of the cells and pressure (T, 4, D, H, W),
fluid mask. Medium and drive go in turn with the index: spheres or a thresholded random field,
a pressure gradient that starts at t = 0 and stays or one that oscillates, in a random direction.
The medium is made of the output's cells; a finer solver sees the same steps in its surface.
Units: side of the cube, and the mean speed that the pressure gradient would drive through
straight tubes of the pores' hydraulic diameter. Frames are apart by a share of the time in which
flow in such tubes comes to rest.
"""

from dataclasses import dataclass
from math import cos, inf, pi
from typing import Literal

import numpy as np
import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from data_shards.box.grid import Box
from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.box_flow import BoxFlow
from data_shards.generate.box_frames import fine_solid, frames_of, one_thread
from data_shards.generate.porous_media import (
    Cells,
    pore_size,
    random_field,
    sphere_packing,
    without_pockets,
)
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, refinement
from data_shards.trajectory import Parameter

Interval = tuple[PositiveFloat, PositiveFloat]
# Of a round tube of diameter d: mean speed a d^2 / (32 nu) under an acceleration a, and the
# slowest decay rate (2 * 2.405)^2 nu / d^2.
TUBE_RESISTANCE, TUBE_DECAY = 32.0, 23.13


class MediumOptions(Config):
    """Ranges of one kind of medium."""

    solid: Interval  # share of the volume
    grain: Interval  # diameter of spheres, length of the field's features; of the cube's side


class PorousOptions(Config):
    """Ranges, and accuracy in time."""

    spheres: MediumOptions
    random_field: MediumOptions
    reynolds: Interval  # tube speed * pore size / viscosity
    period: Interval  # of an oscillating drive, in frames
    frame_interval: PositiveFloat  # decay times of the tube
    spin_up: PositiveFloat  # of an oscillating flow before its first frame, likewise
    steps_per_frame: PositiveInt = 4  # at least
    solver_resolution: PositiveInt
    courant: PositiveFloat = 0.5


REFINED = Refinement(PorousOptions, {"solver_resolution": 2, "steps_per_frame": 2})


@dataclass(frozen=True)
class Drive:
    """Uniform acceleration, the negative mean pressure gradient: vector * cos(2 pi t / period)."""

    vector: Array  # x, y, z
    period: float  # infinite: constant

    def __call__(self, time: float) -> Tensor:
        """(3, 1, 1, 1) at a time."""
        now = self.vector * cos(2 * pi * time / self.period)
        return torch.tensor(now, dtype=torch.float64).view(3, 1, 1, 1)


@one_thread()
def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory; the fluid and its drive follow from the medium on the output's grid."""
    options = PorousOptions.read(card.generator_options, f"card {card.name}")
    kind: Literal["spheres", "random_field"] = ("spheres", "random_field")[index % 2]
    oscillates = index // 2 % 2 == 1
    solid, grain = draw_medium(rng, kind, getattr(options, kind), resolution)
    size = pore_size(solid)
    reynolds = float(np.exp(rng.uniform(*np.log(options.reynolds))))
    viscosity = size / reynolds
    interval = options.frame_interval * size**2 / (TUBE_DECAY * viscosity)
    frames_a_period = float(rng.uniform(*options.period))
    drive = Drive(
        TUBE_RESISTANCE * viscosity / size**2 * _direction(rng),
        frames_a_period * interval if oscillates else inf,
    )
    factor = refinement(resolution, options.solver_resolution)
    box = Box((resolution * factor,) * 3, (1.0,) * 3, solid=fine_solid(solid, factor))
    longest = interval / options.steps_per_frame
    flow = BoxFlow(box, viscosity, drive, courant=options.courant, longest_step=longest)
    if oscillates:
        flow.advance(options.spin_up / options.frame_interval * interval)
    fields = frames_of(flow, card.frames, interval, factor)
    drives = dict(zip(("drive_x", "drive_y", "drive_z"), drive.vector.tolist(), strict=True))
    parameters: dict[str, Parameter] = {
        "medium": kind,
        "porosity": float((~solid).mean()),
        "grain": grain,
        "pore_size": size,
        "reynolds": reynolds,
        "viscosity": viscosity,
        "period": drive.period if oscillates else 0.0,
        **drives,
    }
    return Solution(fields, parameters, dt_s=interval, mask=(~solid).astype(np.float64))


def draw_medium(
    rng: np.random.Generator,
    kind: Literal["spheres", "random_field"],
    options: MediumOptions,
    cells: int,
) -> tuple[Cells, float]:
    """Solid cells without pockets, and the size of the grains."""
    share, grain = float(rng.uniform(*options.solid)), float(rng.uniform(*options.grain))
    make = sphere_packing if kind == "spheres" else random_field
    return without_pockets(make(rng, cells, share, grain)), grain


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))
