"""One case of CFDBench: its `case.json` in; domain, boundary, mask and inflow out.

Axes: T frames, H rows (y, upwards), W columns (x); arrays of a case are (T, H, W)
and hold the values at the centres of H x W cells of the domain.
Source: the published loader (github.com/luo-yining/CFDBench) for time steps,
keys and paddings.
Departures, each with the published behaviour as an option: the loader centres
the cylinder's mask at (0.5, 0.5) m, far outside of every published domain,
measures from the cells' lower left corners, and leaves the dam's barrier out by
a misplaced colon; ours are where the solids are, at the origin and from 0.5 m on.
"""

import json
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from data_shards.errors import UserError
from data_shards.trajectory import Parameter

Problem = Literal["cavity", "tube", "cylinder", "dam"]
MaskPlace = Literal["centred", "reference"]
Padding = Literal["none", "reference"]

# Time between frames. The cylinder's is that of the published rollout data; the loader for
# single frames says 0.1 s.
DT_S: dict[Problem, float] = {"cavity": 0.1, "tube": 0.1, "cylinder": 0.001, "dam": 0.1}
BARRIER_LEFT = 0.5  # m, the dam's; its right side and top are in case.json
_VELOCITY = {"cavity": "vel_top", "tube": "vel_in", "cylinder": "vel_in", "dam": "velocity"}
_WALLS = {"left": "no_slip", "right": "no_slip", "bottom": "no_slip", "top": "no_slip"}
_REFERENCE_CENTRE = (0.5, 0.5)  # m


@dataclass(frozen=True)
class Case:
    """What `case.json` says of a case.

    Attributes:
        problem: which flow.
        values: its numbers, SI units, finite.
        where: the file, for messages.
    """

    problem: Problem
    values: dict[str, float]
    where: str

    @classmethod
    def parse(cls, problem: Problem, text: bytes, where: str) -> "Case":
        """Read a `case.json`.

        Raises:
            UserError: not a JSON object, or a number that the problem needs is missing.
        """
        try:
            read: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: not readable as JSON: {error}") from error
        if not isinstance(read, dict):
            raise UserError(f"{where}: holds {type(read).__name__}, wanted an object of numbers")
        numbers = {
            key: float(value)
            for key, value in read.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        }
        case = cls(problem, numbers, where)
        for key in (_VELOCITY[problem], "density", "viscosity", *_geometry(problem)):
            if key not in numbers:
                came = repr(read[key]) if key in read else "nothing"
                raise UserError(f"{where}: a {problem} needs the number {key!r}, got {came}")
        x_min, x_max, y_min, y_max = case.extent
        if not (x_min < x_max and y_min < y_max):
            raise UserError(f"{where}: its domain is empty: {case.extent} (x_min, x_max, ...)")
        return case

    @property
    def velocity(self) -> float:
        """Of the lid or of the inflow, m/s."""
        return self.values[_VELOCITY[self.problem]]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x_min, x_max, y_min, y_max in m."""
        if self.problem == "cylinder":
            x_min, x_max, y_min, y_max = (self.values[k] for k in _geometry("cylinder")[:4])
            return x_min, x_max, y_min, y_max
        return 0.0, self.values["width"], 0.0, self.values["height"]

    @property
    def boundary(self) -> dict[str, str]:
        """Boundary conditions of the sides; the dam's inflow covers the left side's lower part."""
        if self.problem == "cavity":
            return {**_WALLS, "top": "moving_lid"}
        return {**_WALLS, "left": "inflow", "right": "outflow"}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Under the names that generated flows use, with the Reynolds number where it is usual."""
        length = {
            "cavity": self.values.get("width"),
            "tube": self.values.get("height"),
            "cylinder": 2 * self.values.get("radius", 0.0),
        }.get(self.problem)
        derived: dict[str, Parameter] = {"problem": self.problem, "velocity": self.velocity}
        if length and self.values["viscosity"] > 0:
            flux = self.values["density"] * self.velocity * length
            derived["reynolds"] = flux / self.values["viscosity"]
        others = {k: v for k, v in self.values.items() if k != _VELOCITY[self.problem]}
        return {**others, **derived}

    def mask(self, shape: tuple[int, int], place: MaskPlace) -> NDArray[np.float32]:
        """1 in the fluid, 0 in the solid, (H, W)."""
        x_min, x_max, y_min, y_max = self.extent
        offset = 0.5 if place == "centred" else 0.0
        x = x_min + (np.arange(shape[1]) + offset) * (x_max - x_min) / shape[1]
        y = y_min + (np.arange(shape[0]) + offset) * (y_max - y_min) / shape[0]
        solid = np.zeros(shape, bool)
        if self.problem == "cylinder":
            centre = (0.0, 0.0) if place == "centred" else _REFERENCE_CENTRE
            distance = np.hypot(x[None, :] - centre[0], y[:, None] - centre[1])
            solid = distance <= self.values["radius"]
        elif self.problem == "dam" and place == "centred":
            right = BARRIER_LEFT + self.values["barrier_width"]
            columns = (x >= BARRIER_LEFT) & (x <= right)
            solid = columns[None, :] & (y <= self.values["barrier_height"])[:, None]
        return (~solid).astype(np.float32)

    def padded(
        self, fields: NDArray[np.float32], mask: NDArray[np.float32], fractional: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The published preparation: a column of inflow, two rows of wall, and back to H x W.

        Bilinear with the corners kept, so that the outermost cells become the boundary
        itself.

        Args:
            fields: (T, 2, H, W).
            mask: (H, W).
            fractional: keep the mask as it is published, shares of the fluid; else it is cut at
                one half.

        Returns:
            Fields and mask of the same shapes.
        """
        if self.problem == "cavity":
            return fields, mask
        inflow = np.full(fields.shape[-2], self.velocity, np.float32)
        if self.problem == "dam":
            _, _, y_min, y_max = self.extent
            inflow[int(self.values["barrier_height"] / (y_max - y_min) * len(inflow)) :] = 0
        wide = np.pad(fields, ((0, 0), (0, 0), (1, 1), (1, 0)))
        wide[:, 0, 1:-1, 0] = inflow
        share = _resized(np.pad(mask, ((1, 1), (1, 0))), mask.shape)
        return _resized(wide, fields.shape), share if fractional else _halved(share)


def _geometry(problem: Problem) -> tuple[str, ...]:
    if problem == "cylinder":
        return "x_min", "x_max", "y_min", "y_max", "radius"
    barrier = ("barrier_height", "barrier_width") if problem == "dam" else ()
    return "height", "width", *barrier


def _resized(array: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The last two axes by bilinear interpolation, corners kept."""
    flat = torch.from_numpy(array).reshape(1, -1, *array.shape[-2:])
    smaller = interpolate(flat, shape[-2:], mode="bilinear", align_corners=True)
    return smaller.reshape(shape).numpy()


def _halved(fraction: NDArray[np.float32]) -> NDArray[np.float32]:
    return (fraction >= 0.5).astype(np.float32)
