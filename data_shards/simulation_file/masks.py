"""Which cells are solid: a mask in the file or beside it in, 1 in the fluid and 0 in solids out.

Masks are kept both ways round. Which way one is, the fields tell where they can: a fluid that
never moves beside solids that do is none. Else the user's word counts (`NAME` is 1 in the fluid,
`1-NAME` its opposite), else the array's name.
Axes: T frames, C channels, H rows, W columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError, unknown_name
from data_shards.simulation_file.arrays import FileArray, open_arrays

FLUID = ("mask", "fluid", "fluid_mask", "valid_mask", "ocean_mask", "sea_mask", "wet")
SOLID = ("solid", "solids", "solid_mask", "obstacle", "obstacles", "obstacle_mask", "land",
         "land_mask", "landmask", "walls")  # fmt: skip
_UNCLEAR = ("geometry",)
OPPOSITE = "1-"

Fields = NDArray[np.floating]


@dataclass(frozen=True)
class Mask:
    """A mask and what was assumed about it.

    Attributes:
        fluid: float32 (H, W), 1 in the fluid, 0 in solid cells.
        notes: in plain words.
    """

    fluid: NDArray[np.float32]
    notes: tuple[str, ...]


def is_mask(name: str, num_axes: int = 2) -> bool:
    """Whether an array is hardly a field: "solid" over time may be the share of a melt."""
    last = name.rpartition("/")[2]
    return last in (*FLUID, *SOLID, *_UNCLEAR) and (num_axes < 3 or "mask" in last)


def find_mask(
    path: Path,
    arrays: Mapping[str, FileArray],
    fields: Fields,
    axes: str,
    *,
    said: str | None = None,
    other_files: bool = True,
) -> tuple[Mask | None, tuple[str, ...]]:
    """The mask that is named, or the one that is called so; and what to know where there is none.

    Args:
        path: of the file.
        arrays: of the file, or of one run.
        fields: (T, C, H, W), what the file holds, NaN where that is nothing.
        axes: a letter per axis of the fields in the file.
        said: name of an array or another file, with "1-" before it if it is 1 in solid cells.
        other_files: whether it may be another file.

    Raises:
        UserError: there is none such, of another shape, or it holds other than zeros and ones.
    """
    grid = fields.shape[2:]
    if said is None:
        shapes = {grid, grid[::-1]} if "y" in axes else {grid[1:]}
        known = [n for n in (*FLUID, *SOLID) if n in arrays and arrays[n].shape in shapes]
        if not known:
            unclear = [name for name in _UNCLEAR if name in arrays]
            return None, tuple(
                f"array {name!r} is not looked at; if it is a mask, --mask {name} where it is 1 in "
                f"the fluid, --mask {OPPOSITE}{name} where it is 1 in solid cells"
                for name in unclear[:1]
            )
        name, opposite = known[0], known[0] in SOLID
    else:
        opposite = said.startswith(OPPOSITE) and said not in arrays and not Path(said).is_file()
        name = said.removeprefix(OPPOSITE) if opposite else said
    where = f"{path}: mask {name!r}"
    values = _values(path, arrays, name, other_files)
    ones = _placed(values, grid, axes, where)
    if not np.isin(ones, (0, 1)).all() or not ones.any():
        raise UserError(f"{where}: wanted 1 in the fluid and 0 in solid cells, nothing else")
    return _turned(name, ones.astype(bool), fields, opposite, told=said is not None), ()


def _turned(
    name: str, ones: NDArray[np.bool_], fields: Fields, opposite: bool, *, told: bool
) -> Mask:
    """The mask, the way round that the fields, the user or its name say."""
    moving = _moving(fields)
    in_ones, in_zeros = bool(moving[ones].any()), bool(moving[~ones].any())
    seen = in_ones != in_zeros and not ones.all()
    notes = []
    if seen and in_zeros != opposite:
        opposite = in_zeros
        still, moves = ("1", "0") if opposite else ("0", "1")
        notes.append(
            f"mask {name!r}: nothing moves where it is {still}, the fields do where it is {moves}: "
            f"{moves} is taken as the fluid"
        )
    elif not told:
        what = "solid cells" if opposite else "the fluid"
        other = "" if seen else f"; if it is 0 there, --mask {'' if opposite else OPPOSITE}{name}"
        notes.append(f"array {name!r} taken as the mask: 1 in {what}{other}")
    fluid = (~ones if opposite else ones).astype(np.float32)
    solid = float(1 - fluid.mean())
    if solid > 0.5 and not seen:
        way = "" if opposite else OPPOSITE
        notes.append(
            f"mask {name!r}: {solid:.0%} of the cells are solid; if it is the other way round, "
            f"--mask {way}{name}"
        )
    return Mask(fluid, tuple(notes))


def _moving(fields: Fields) -> NDArray[np.bool_]:
    """Cells (H, W) in which anything changes over time."""
    same = (fields == fields[:1]) | (np.isnan(fields) & np.isnan(fields[:1]))
    still: NDArray[np.bool_] = same.all((0, 1))
    return ~still


def _placed(values: NDArray[Any], grid: tuple[int, ...], axes: str, where: str) -> NDArray[Any]:
    """A mask as the fields lie, (H, W)."""
    shape = values.shape
    if "y" not in axes:
        values = values.reshape(1, -1) if values.ndim == 1 else values
    elif axes.index("x") < axes.index("y"):
        values = values.T
    if values.shape != grid:
        wanted = tuple(grid["yx".index(letter)] for letter in axes if letter in "yx")
        raise UserError(f"{where} is {shape}, the fields' grid is {wanted}")
    return values


def _values(
    path: Path, arrays: Mapping[str, FileArray], name: str, other_files: bool
) -> NDArray[Any]:
    if name in arrays:
        return arrays[name].take(...)
    if not other_files:
        raise UserError(f"{path}: {unknown_name('array', name, arrays)}")
    if not Path(name).is_file():
        raise UserError(
            f"{path}: --mask {name}: neither a file nor {unknown_name('array', name, arrays)}"
        )
    with open_arrays(Path(name)) as other:
        planes = [array for array in other.arrays.values() if len(array.shape) == 2]
        planes = [a for a in planes if a.dtype.kind in "fiub" and max(a.shape) > 1]
        if len(planes) > 1:
            planes = [array for array in planes if is_mask(array.name)] or planes
        if len(planes) != 1:
            raise UserError(f"{name}: holds {len(planes)} planes, wanted one, the mask")
        return planes[0].take(...)
