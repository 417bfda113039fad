"""What every solver hands over, and how solver grids relate to output grids.

Axes: T frames, C channels, H rows (y, upwards), W columns (x).
"""

from dataclasses import dataclass, field
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from data_shards.trajectory import Parameter

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Solution:
    """A simulation in physical units, before it is labelled and checked.

    Attributes:
        fields: (T, C, H, W) on the output grid, or (T, C, D, H, W).
        parameters: PDE parameters of this simulation.
        dt_s, extent, boundary: what differs between trajectories of the corpus;
            None where the card fixes it.
        mask: of the fields' grid, 1 in the fluid, 0 in the solid.
    """

    fields: NDArray[np.floating]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    dt_s: float | None = None
    extent: tuple[float, float, float, float] | None = None
    boundary: dict[str, str] | None = None
    mask: NDArray[np.floating] | None = None


def num_steps(duration: float, stable_dt: float) -> int:
    """Equal steps that cover a duration and are not longer than the stable one.

    Raises:
        FloatingPointError: there is no stable step, so the fields are not finite any more.
    """
    if not (isfinite(stable_dt) and stable_dt > 0):
        raise FloatingPointError(f"the solver diverged, its stable time step is {stable_dt}")
    return ceil(duration / stable_dt)


def refinement(resolution: int, solver_resolution: int) -> int:
    """Solver cells per output cell and direction: the least with a fine enough solver grid."""
    return ceil(solver_resolution / resolution)


def block_average(fields: Array, factor: int) -> Array:
    """Means over `factor` x `factor` cells of the last two axes, (..., H, W) -> (..., H/f, W/f)."""
    *lead, height, width = fields.shape
    blocks = fields.reshape(*lead, height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(-3, -1)))
