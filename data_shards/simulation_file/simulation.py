"""A simulation as a model takes it, with what is needed to write it as its file was.

Axes: T frames, C channels, H rows (y, upwards), W columns (x).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_shards.simulation_file.arrays import Format

Boundary = Literal["periodic", "periodic-x", "periodic-y", "edge"]


@dataclass(frozen=True)
class Coordinate:
    """Places of frames, rows or columns.

    Attributes:
        name: in the file, or the one it gets.
        values: (N,), in the order of the fields here, not of the file.
        attributes: words about it.
        origin: date or time that the values are counted from, where the file keeps dates.
        stored: (N,), what the file has instead: longitudes that begin anew on the way.
    """

    name: str
    values: NDArray[np.float64]
    attributes: dict[str, str] = field(default_factory=dict)
    origin: np.datetime64 | np.timedelta64 | None = None
    stored: NDArray[np.float64] | None = None

    @property
    def in_file(self) -> NDArray[Any]:
        """What the file has, dates where it keeps dates, in the order of the values."""
        if self.origin is None:
            return self.values if self.stored is None else self.stored
        unit, count = np.datetime_data(self.origin.dtype)
        later = np.round(self.values / count).astype(np.int64)
        return self.origin + later.astype(f"m8[{count}{unit}]")


@dataclass(frozen=True)
class FileLayout:
    """How a file keeps its fields.

    Attributes:
        format: of the file.
        arrays: their names; one with all channels, or one per channel.
        axes: a letter per axis.
        dtype: of the entries, floating-point.
        down: letters of the axes that the file runs through from high to low (y, x).
        attributes: of every array, words about it.
    """

    format: Format
    arrays: tuple[str, ...]
    axes: str
    dtype: np.dtype[Any]
    down: str = ""
    attributes: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Simulation:
    """Frames of one run.

    Attributes:
        fields: float32 (T, C, H, W), finite in a file, in the file's own units.
        channels: their names (C).
        times: of the frames.
        rows: places of the rows, upwards.
        columns: places of the columns.
        boundary: across which sides it goes on.
        layout: how the file keeps it.
        source: the file.
        mask: float32 (H, W), 1 in the fluid, 0 in solid cells; None: all is fluid.
        behind: (C, H, W), what the file holds in solid cells, NaN perhaps, where the fields here
            are 0; it is written back. None: the fields are those of the file.
        assumed: what was taken for granted, in plain words.
        samples: runs that the file holds; this is one of them.
        numbers: that stand alone in the file, by name; the parameters of an equation among them.
        measured: letters of t, y, x whose places the file gives; others are counted.
        said_step: time between frames, where somebody says it beside the file.
        by_frame: one number of each frame (T), by name: written beside the fields, never read.
        beside: further fields (T, C, H, W), by what their names have at the end, likewise.
    """

    fields: NDArray[np.float32]
    channels: tuple[str, ...]
    times: Coordinate
    rows: Coordinate
    columns: Coordinate
    boundary: Boundary
    layout: FileLayout
    source: Path
    mask: NDArray[np.float32] | None = None
    behind: NDArray[np.floating] | None = None
    assumed: tuple[str, ...] = ()
    samples: int = 1
    numbers: Mapping[str, float] = field(default_factory=dict)
    measured: str = ""
    said_step: float | None = None
    by_frame: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    beside: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.fields.shape[2], self.fields.shape[3]

    @property
    def periodic(self) -> tuple[bool, bool]:
        """Whether rows and columns go on across their ends."""
        whole = self.boundary == "periodic"
        return whole or self.boundary == "periodic-y", whole or self.boundary == "periodic-x"

    @property
    def time_step(self) -> float | None:
        """Between the last frames, as said or as the file gives it; None if nobody does."""
        times = self.times.values
        if self.said_step is not None or "t" not in self.measured or len(times) < 2:
            return self.said_step
        return float(times[-1] - times[-2])

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x_min, x_max, y_min, y_max of the domain, cell edges."""
        ends = []
        for values in (self.columns.values, self.rows.values):
            half = 0.5 * (values[-1] - values[0]) / max(1, len(values) - 1) or 0.5
            ends += [float(values[0] - half), float(values[-1] + half)]
        return ends[0], ends[1], ends[2], ends[3]
