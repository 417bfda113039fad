"""One HDF5 file of The Well: its groups and attributes in, arrays in our axes out.

Axes: N samples, T frames, C channels, then z, y, x; the file's are (N, T, x, y[, z]),
with axes left out (or of length 1) along which a field does not vary.
Source: The Well's format (polymathic-ai.org/the_well/data_format) and its checker:
`dimensions` with `time` and the coordinates named by `spatial_dims`; `t0_fields`,
`t1_fields`, `t2_fields` with `field_names` and, per field, `sample_varying`,
`time_varying`, `dim_varying`, for tensors `symmetric` and `antisymmetric`;
`boundary_conditions` with `bc_type`, `associated_dims` and `mask`; `scalars`.
Coordinates that are not a permutation of x, y, z stand for x, y, z in the file's order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.formats.hdf5 import legible, refuse_foreign, refuse_large

BLOCK_BYTES = 64 << 20
SIDES = {"x": ("left", "right"), "y": ("bottom", "top"), "z": ("front", "back")}
# From weakest to strongest where several hold on one side; a side without any is open.
_BOUNDARIES = {"OPEN": "open", "WALL": "wall", "PERIODIC": "periodic"}


@dataclass(frozen=True)
class Component:
    """One channel that a file offers.

    Attributes:
        name: of the field, with the coordinates of the component: density, velocity_x, D_xy.
        field: path of the dataset.
        entry: of the trailing vector or tensor axes.
    """

    name: str
    field: str
    entry: tuple[int, ...]


class WellFile:
    """A view of an open file; reads what it is asked for, nothing else."""

    def __init__(self, file: h5py.File, path: Path) -> None:
        """Check the skeleton of a file.

        Raises:
            UserError: it is not a file of The Well.
        """
        self._file, self.path = file, path
        dimensions = self._group("dimensions")
        names = self._words(dimensions, "spatial_dims")
        if len(names) not in (2, 3):
            raise UserError(f"{path}: spatial_dims are {', '.join(names)}; wanted 2 or 3")
        self.coordinates = tuple(names)
        ours = "xyz"[: len(names)]
        self.axes = self.coordinates if sorted(names) == list(ours) else tuple(ours)
        self.samples = int(self._attribute(file, "n_trajectories"))
        if self.samples < 1:
            raise UserError(f"{path}: n_trajectories is {self.samples}; wanted 1 or more")
        self.frames = int(self._dataset("dimensions/time").shape[-1])
        sizes = [self._dataset(f"dimensions/{name}").shape[-1] for name in names]
        self.cells = dict(zip(self.axes, map(int, sizes), strict=True))  # by our axis

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells as (y, x) or (z, y, x)."""
        return tuple(self.cells[axis] for axis in sorted(self.cells, reverse=True))

    @property
    def name(self) -> str:
        """Of the data set, in its own words."""
        return str(self._attribute(self._file, "dataset_name"))

    def times(self, sample: int) -> NDArray[np.float64]:
        """Time coordinate, (T)."""
        return self._coordinate("time", sample)

    def centres(self, sample: int) -> dict[str, NDArray[np.float64]]:
        """Coordinates by our axis, x first, as they stand in the file."""
        by_axis = {
            axis: self._coordinate(name, sample)
            for axis, name in zip(self.axes, self.coordinates, strict=True)
        }
        return {axis: by_axis[axis] for axis in sorted(by_axis)}

    def components(self) -> tuple[Component, ...]:
        """All channels, scalars first, in the file's order; symmetric entries once."""
        return tuple(self._components())

    def _components(self) -> Iterator[Component]:
        for order in range(3):
            if (group := f"t{order}_fields") not in self._file:
                continue
            for field in self._words(self._group(group), "field_names"):
                dataset = self._dataset(f"{group}/{field}")
                symmetric = bool(dataset.attrs.get("symmetric", False))
                antisymmetric = bool(dataset.attrs.get("antisymmetric", False))
                for entry in product(range(len(self.axes)), repeat=order):
                    below = len(entry) == 2 and entry[0] > entry[1]
                    diagonal = len(entry) == 2 and entry[0] == entry[1]
                    if (below and (symmetric or antisymmetric)) or (diagonal and antisymmetric):
                        continue
                    suffix = "".join(self.coordinates[position] for position in entry)
                    name = f"{field}_{suffix}" if entry else field
                    yield Component(name, f"{group}/{field}", entry)

    def check_shapes(self) -> None:
        """Hold every field against what the file announces; reads none of them.

        Raises:
            UserError: a shape differs, or no field differs between several trajectories.
        """
        varies = False
        for component in self._components():
            dataset = self._dataset(component.field)
            self._check_shape(dataset, component, self._varying(dataset))
            varies = varies or self._flag(dataset, "sample_varying")
        if self.samples > 1 and not varies:
            raise UserError(
                f"{self.path}: n_trajectories is {self.samples}, but no field differs between "
                "them; fetch the file again"
            )

    def fill(
        self,
        outs: Sequence[NDArray[np.float32]],
        components: Sequence[Component],
        sample: int,
        start: int,
    ) -> None:
        """Frames of some components of one field of one sample, a bounded block at a time.

        Args:
            outs: one (T, [D,] H, W) per component, overwritten whole.
            components: all of the same field.
            sample: number in the file.
            start: first frame.

        Raises:
            UserError: the dataset is damaged, or of another shape than its attributes say.
        """
        dataset = self._dataset(components[0].field)
        varying = self._varying(dataset)
        self._check_shape(dataset, components[0], varying)
        lead = (sample,) if self._flag(dataset, "sample_varying") else ()
        in_time = self._flag(dataset, "time_varying")
        frames = len(outs[0])
        step = self._frames_per_block(dataset, components[0]) if in_time else frames
        for first in range(0, frames, step):
            stop = min(first + step, frames)
            span = (slice(start + first, start + stop),) if in_time else ()
            with legible(self.path):
                block = np.asarray(dataset[(*lead, *span)], np.float32)
            spatial = block.ndim - len(components[0].entry)
            for out, component in zip(outs, components, strict=True):
                picked = block[(slice(None),) * spatial + component.entry]
                out[first:stop] = self._in_our_axes(picked, in_time, varying)

    def _frames_per_block(self, dataset: h5py.Dataset, component: Component) -> int:
        entries = int(np.prod(self.grid)) * len(self.axes) ** len(component.entry)
        return int(max(1, BLOCK_BYTES // (dataset.dtype.itemsize * entries)))

    def _in_our_axes(
        self, block: NDArray[np.float32], in_time: bool, varying: list[bool]
    ) -> NDArray[np.float32]:
        """([T,] file's spatial axes) to ([T,] z, y, x), axes left out as length 1."""
        for position, varies in enumerate(varying):
            if not varies and block.ndim < in_time + len(self.axes):
                block = np.expand_dims(block, in_time + position)
        order = [self.axes.index(axis) for axis in sorted(self.axes, reverse=True)]
        return block.transpose([0] * in_time + [in_time + position for position in order])

    def _check_shape(self, dataset: Any, component: Component, varying: list[bool]) -> None:
        lead = [self.samples] * self._flag(dataset, "sample_varying")
        lead += [self.frames] * self._flag(dataset, "time_varying")
        cells = [self.cells[axis] for axis in self.axes]
        tail = [len(self.axes)] * len(component.entry)
        short = [size for size, varies in zip(cells, varying, strict=True) if varies]
        full = [size if varies else 1 for size, varies in zip(cells, varying, strict=True)]
        wanted = {(*lead, *short, *tail), (*lead, *full, *tail)}
        if dataset.shape not in wanted:
            raise UserError(
                f"{self.path}: {component.field} is {dataset.shape}, its attributes and the "
                f"dimensions say {max(wanted)} (samples, frames, {', '.join(self.coordinates)}, "
                "entries); fetch the file again"
            )

    def _varying(self, dataset: Any) -> list[bool]:
        flags = np.atleast_1d(dataset.attrs.get("dim_varying", [True] * len(self.axes)))
        if len(flags) != len(self.axes):
            raise UserError(
                f"{self.path}: {dataset.name} has {len(flags)} dim_varying for "
                f"{', '.join(self.coordinates)}; fetch the file again"
            )
        return [bool(flag) for flag in flags]

    def boundary(self, sample: int) -> dict[str, str]:
        """Boundary condition per side, from masks along the coordinates.

        A wall holds only where all of a side is one; the others where any part is.

        Raises:
            UserError: an unknown kind, or a mask of another shape than the dimensions say.
        """
        group = self._group("boundary_conditions")
        strength = list(_BOUNDARIES.values())
        sides = {side: "open" for axis in sorted(self.axes) for side in SIDES[axis]}
        for name in group:
            condition = self._group(f"boundary_conditions/{name}")
            raw = self._attribute(condition, "bc_type")
            kind = _BOUNDARIES.get(_text(raw).upper())
            if kind is None:
                raise UserError(f"{self.path}: boundary {name} is {raw!r}; wanted {strength}")
            dims = self._words(condition, "associated_dims")
            mask = self._mask(condition, dims, sample)
            for position, dim in enumerate(dims):
                for side, end in zip(self._sides(dim), (0, -1), strict=True):
                    edge = mask.take(end, position)
                    holds = edge.all() if kind == "wall" else edge.any()
                    if holds and strength.index(kind) > strength.index(sides[side]):
                        sides[side] = kind
        return sides

    def _sides(self, dim: str) -> tuple[str, str]:
        if dim not in self.coordinates:
            raise UserError(f"{self.path}: a boundary is on {dim!r}, no spatial dimension")
        return SIDES[self.axes[self.coordinates.index(dim)]]

    def _mask(self, condition: h5py.Group, dims: list[str], sample: int) -> NDArray[np.bool_]:
        dataset = self._dataset(f"{condition.name}/mask".lstrip("/"))
        own = (sample,) if self._flag(condition, "sample_varying") else ()
        first = (0,) if self._flag(condition, "time_varying") else ()
        mask = self._read(dataset, (*own, *first)).astype(bool)
        if mask.ndim != len(dims):
            raise UserError(
                f"{self.path}: {dataset.name} is {dataset.shape}, wanted one axis for each of "
                f"{', '.join(dims)}"
            )
        return mask

    def scalars(self, sample: int) -> dict[str, float]:
        """Numbers that do not vary in time: simulation parameters and scalars."""
        found: dict[str, float] = {}
        for name in self._words(self._file, "simulation_parameters", required=False):
            _keep(found, name, self._file.attrs.get(name))
        if "scalars" in self._file:
            for name in self._words(self._group("scalars"), "field_names", required=False):
                dataset = self._dataset(f"scalars/{name}")
                if self._flag(dataset, "time_varying", default=False):
                    continue
                own = self._flag(dataset, "sample_varying", default=False)
                _keep(found, name, self._read(dataset, (sample,) if own else ()))
        return found

    def _coordinate(self, name: str, sample: int) -> NDArray[np.float64]:
        dataset = self._dataset(f"dimensions/{name}")
        values = self._read(dataset, (sample,) if dataset.ndim == 2 else ()).astype(np.float64)
        if values.ndim != 1 or not np.isfinite(values).all():
            raise UserError(
                f"{self.path}: {dataset.name} is {dataset.shape}; wanted one finite axis"
            )
        return values

    def _read(self, dataset: Any, lead: tuple[int, ...]) -> NDArray[Any]:
        """One entry of the first axes of what is small in every sane file."""
        refuse_large(dataset.shape[len(lead) :], dataset.name, self.path)
        with legible(self.path):
            return np.asarray(dataset[lead])

    def _group(self, name: str) -> h5py.Group:
        with legible(self.path):
            found = self._file.get(name)
        if not isinstance(found, h5py.Group):
            raise UserError(f"{self.path}: no group {name!r}; wanted a file of The Well")
        refuse_foreign(found, self._file)
        return found

    def _dataset(self, name: str) -> h5py.Dataset:
        with legible(self.path):
            found = self._file.get(name)
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiub":
            raise UserError(f"{self.path}: no dataset {name!r} of numbers, though it is announced")
        refuse_foreign(found, self._file)
        return found

    def _attribute(self, owner: Any, name: str) -> Any:
        with legible(self.path):
            if name not in owner.attrs:
                raise UserError(
                    f"{self.path}: {owner.name} has no attribute {name!r}; wanted a file of The "
                    "Well"
                )
            return owner.attrs[name]

    def _words(self, owner: Any, name: str, *, required: bool = True) -> list[str]:
        """An attribute that lists names; a single one may stand alone."""
        if not required and name not in owner.attrs:
            return []
        value = self._attribute(owner, name)
        values = [value] if isinstance(value, str | bytes) else np.atleast_1d(value)
        return [_text(word) for word in values]

    def _flag(self, owner: Any, name: str, *, default: bool = True) -> bool:
        return bool(owner.attrs.get(name, default if isinstance(owner, h5py.Dataset) else False))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _keep(found: dict[str, float], name: str, value: Any) -> None:
    """A single finite number; lists and words are left out."""
    array = np.asarray(value)
    if array.size == 1 and array.dtype.kind in "fiub" and np.isfinite(array).all():
        found[name] = float(array.item())


def turned(boundary: dict[str, str], falling: Iterable[str]) -> dict[str, str]:
    """Sides after axes have been turned round."""
    turned = dict(boundary)
    for axis in falling:
        low, high = SIDES[axis]
        turned[low], turned[high] = boundary[high], boundary[low]
    return turned


def outer_edges(values: NDArray[np.float64]) -> tuple[float, float]:
    """Edges of the first and the last cell; cells may be of unequal size."""
    first, last = (values[1] - values[0]) / 2, (values[-1] - values[-2]) / 2
    return float(values[0] - first), float(values[-1] + last)
