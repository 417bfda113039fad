"""A trajectory: what every generator and reader gives and every shard holds.

Axes: T frames, C channels, H rows (y, upwards), W columns (x); in three
dimensions D slices (z) before the rows, in one dimension H = 1.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError

Parameter = float | int | str


@dataclass(frozen=True)
class Trajectory:
    """One simulation, in physical units, with what is known of it.

    Attributes:
        fields: float32 (T, C, H, W) or (T, C, D, H, W), finite.
        corpus: name of the corpus card it belongs to.
        index: its number within the split; with the seed it determines the data.
        seed: seed of the generator, or -1 for data read from published files.
        dt_s: time between frames.
        extent: (x_min, x_max, y_min, y_max[, z_min, z_max]) of the domain, cell edges.
        boundary: boundary condition of the sides, keys left, right, bottom, top[, front, back].
        parameters: parameters of the PDE (viscosity, Mach number, ...); metadata only.
        mask: float32, the fields' grid, 1 in the fluid, 0 in solid cells; None means all ones.
    """

    fields: NDArray[np.float32]
    corpus: str
    index: int
    seed: int
    dt_s: float
    extent: tuple[float, ...]
    boundary: dict[str, str]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    mask: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        where = f"{self.corpus} trajectory {self.index}"
        if self.fields.ndim not in (4, 5):
            raise UserError(
                f"{where}: fields are {self.fields.shape}, wanted (T, C, H, W) or (T, C, D, H, W)"
            )
        if self.fields.dtype != np.float32:
            raise UserError(f"{where}: fields are {self.fields.dtype}, wanted float32")
        if self.mask is not None and self.mask.shape != self.fields.shape[2:]:
            raise UserError(
                f"{where}: mask is {self.mask.shape}, fields end in {self.fields.shape[2:]}"
            )

    @property
    def full_mask(self) -> NDArray[np.float32]:
        """The mask with its default filled in, float32 (H, W) or (D, H, W)."""
        if self.mask is None:
            return np.ones(self.fields.shape[2:], np.float32)
        return self.mask
