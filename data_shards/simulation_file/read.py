"""Read a scientist's own file: which arrays are fields, how they lie, where they are.

In: a file and what its owner says of it. Out: a `Simulation`, with every assumption in plain
words. What cannot be known is asked for, with the candidates, and never guessed.
Axes: T frames, C channels, H rows (y, upwards), W columns (x).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError, unknown_name
from data_shards.simulation_file.arrays import FileArray, FileArrays, open_arrays
from data_shards.simulation_file.axes import Evidence, guess_axes, letter_of, read_axes
from data_shards.simulation_file.places import coordinate, find_places, is_falling
from data_shards.simulation_file.simulation import Boundary, FileLayout, Simulation

_MASKS = ("mask", "fluid", "fluid_mask", "valid_mask")
_LIKE_MASKS = ("solid", "obstacle", "geometry", "solid_mask", "obstacle_mask")
_BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)
_BOUNDARY_WORDS = ("boundary", "boundary_condition", "boundary_conditions", "bc")


@dataclass(frozen=True)
class Reading:
    """What the owner of a file says of it; None is found out.

    Attributes:
        axes: a letter per axis: "t,y,x,c".
        channels: names of arrays, one per channel, or of the channels of one array.
        mask: an array of the file, or another file; 1 in the fluid, 0 in solid cells.
        mask_files: whether the mask may be another file; not for whoever names it from afar.
        sample: number of the run, where the file holds several.
        boundary: across which sides the fields go on.
        frames: fewest frames that are of use.
        line: fields lie on a line, which becomes a plane of one row; arrays are over (t, x).
    """

    axes: str | None = None
    channels: tuple[str, ...] | None = None
    mask: str | None = None
    sample: int | None = None
    boundary: Boundary | None = None
    frames: int = 2
    mask_files: bool = True
    line: bool = False


def read_simulation(path: str | Path, reading: Reading | None = None) -> Simulation:
    """Read one run of a file.

    Args:
        path: .h5, .hdf5, .nc (netCDF 4 or classic), .npz, .npy or .mat (5 to 7.3).
        reading: what is known of it.

    Raises:
        UserError: no such file, damaged, nothing or too much in it, several readings, values
            that are no finite floating-point numbers.
    """
    path, reading = Path(path), reading or Reading()
    with open_arrays(path) as found:
        return _Reader(path, found, reading).simulation()


class _Reader:
    """One pass through an opened file; collects what it assumes on the way."""

    def __init__(self, path: Path, found: FileArrays, reading: Reading) -> None:
        self._path, self._found, self._reading = path, found, reading
        self._assumed: list[str] = []
        self._places = find_places(found.arrays)

    def simulation(self) -> Simulation:
        """Everything, checked."""
        chosen = self._choose()
        axes = self._axes(chosen)
        size = {"y": 1} | dict(zip(axes, chosen[0].shape, strict=True))  # a line has one row
        fields = self._fields(chosen, axes, size)
        names = self._channel_names(chosen, size.get("c", 1))
        axis_names = dict.fromkeys(axes, "") | dict(zip(axes, chosen[0].axes, strict=False))
        places = {
            letter: coordinate(
                self._places.get(letter),
                letter,
                size[letter],
                self._path,
                axis_names.get(letter, ""),
            )
            for letter in "tyx"
        }
        for each in places.values():
            self._assumed += each.notes
        down = "".join(letter for letter in "yx" if is_falling(places[letter].place.values))
        mask = self._mask(axes, size)
        for letter, axis in (("y", -2), ("x", -1)):
            if letter in down:
                fields = np.flip(fields, axis)
                mask = None if mask is None else np.flip(mask, axis)
                self._assumed.append(f"{letter} falls along its axis; turned round, and back")
        fields = self._checked(np.ascontiguousarray(fields), mask, names)
        rows, columns = (
            places[a].place if a not in down else places[a].reversed() for a in ("y", "x")
        )
        layout = FileLayout(
            format=self._found.format,
            arrays=tuple(array.name for array in chosen),
            axes=axes,
            dtype=chosen[0].dtype.newbyteorder("="),
            down=down,
            attributes=tuple(array.attributes for array in chosen),
        )
        return Simulation(
            fields=fields,
            channels=names,
            times=places["t"].place,
            rows=rows,
            columns=columns,
            boundary=self._boundary(),
            layout=layout,
            source=self._path,
            mask=None if mask is None else np.ascontiguousarray(mask),
            assumed=tuple(self._assumed),
            samples=size.get("s", 1),
            numbers=self._numbers(chosen),
            measured="".join(letter for letter in "tyx" if places[letter].is_measured),
        )

    def _choose(self) -> list[FileArray]:
        """The arrays that hold the fields."""
        wanted = self._reading.channels
        arrays = self._found.arrays
        known = [name for name in wanted or () if name in arrays]
        if wanted and len(known) == len(wanted):
            chosen = [arrays[name] for name in wanted]
        else:
            chosen = self._candidates()
            if wanted and (known or len(chosen) > 1):
                missing = next(name for name in wanted if name not in arrays)
                raise UserError(f"{self._path}: {unknown_name('array', missing, arrays)}")
        for array in chosen:
            self._check_type(array)
        shapes = {array.shape for array in chosen}
        if len(shapes) > 1:
            each = "; ".join(f"{array.name} {array.shape}" for array in chosen[:8])
            raise UserError(
                f"{self._path}: arrays of several shapes: {each}; name those that are channels "
                "of one simulation by --channels NAME,NAME"
            )
        return chosen

    def _candidates(self) -> list[FileArray]:
        aside = {array.name for array in self._places.values()} | {*_MASKS, *_LIKE_MASKS}
        aside |= {self._reading.mask or ""}
        left = [
            array
            for name, array in self._found.arrays.items()
            if name not in aside and (not letter_of(name) or len(array.shape) > 2)
        ]
        fewest = 2 if self._reading.line else 3
        deep = [a for a in left if len(a.shape) >= fewest and math.prod(a.shape) > 1]
        chosen = sorted((a for a in deep if a.dtype.kind == "f"), key=_in_words)
        if chosen:
            others = [array.name for array in deep if array.dtype.kind != "f"]
            if others:
                self._assumed.append(f"left aside, no floating-point numbers: {', '.join(others)}")
            return chosen
        odd = next(iter(deep), None) or next((a for a in left if not a.is_number), None)
        if odd is not None:
            self._check_type(odd)
        there = "; ".join(f"{a.name} {a.shape}" for a in self._found.arrays.values()) or "nothing"
        raise UserError(
            f"{self._path}: no frames of planes: wanted an array over (t, y, x), with an axis of "
            f"channels or samples or both; there is {there}"
        )

    def _check_type(self, array: FileArray) -> None:
        where = f"{self._path}: array {array.name!r}"
        if array.dtype.kind == "O":
            raise UserError(f"{where} holds Python objects; save floating-point numbers")
        if array.dtype.kind == "c" or (array.dtype.names and len(array.dtype.names) == 2):
            raise UserError(
                f"{where} is complex; save its real and imaginary parts as two channels, or the "
                "field in space"
            )
        if array.dtype.kind != "f":
            raise UserError(
                f"{where} holds {array.dtype}, wanted floating-point numbers; convert it if these "
                "are values of a field"
            )
        if 0 in array.shape:
            raise UserError(f"{where} is empty: {array.shape}")

    def _axes(self, chosen: Sequence[FileArray]) -> str:
        array, reading = chosen[0], self._reading
        where = f"{self._path}: array {array.name!r}"
        if reading.axes:
            return read_axes(reading.axes, array.shape, f"array {array.name!r}", reading.line)
        if reading.line and len(array.shape) == 2:
            return self._axes_of_line(array)
        depth = next((a for a in self._found.arrays.values() if letter_of(a.name) == "z"), None)
        if (
            len(array.shape) > 3
            and depth is not None
            and 1 < max(depth.shape, default=0) in array.shape
        ):
            raise UserError(
                f"{where}: {array.shape} and a coordinate {depth.name!r}: three dimensions of "
                "space, the model takes planes; save a slice, or say by --axes what the axes are"
            )
        lengths = {letter: max(place.shape) for letter, place in self._places.items()}
        one_each = len(chosen) > 1
        renamed = reading.channels if reading.channels != (array.name,) else None
        evidence = Evidence(
            names=array.axes,
            lengths=lengths,
            channels=len(renamed) if renamed and not one_each else None,
            one_each=one_each,
            frames=reading.frames,
            samples=reading.sample is not None and len(array.shape) > 3,
        )
        axes = guess_axes(array.shape, evidence, where)
        named = [letter_of(name) for name in array.axes]
        size = dict(zip(axes, array.shape, strict=True))
        told = f"{', '.join(a.name for a in chosen)} read as ({', '.join(axes)}): "
        told += f"{size['t']} frames of {size['y']} rows x {size['x']} columns"
        if not {"t", "y", "x"} <= set(named):
            told += "; if that is wrong, --axes"
            if size["y"] == size["x"] and not {"x", "y"} & set(named):
                told += f" (the grid is square: columns may be rows, {_exchanged(axes)})"
        self._assumed.append(told)
        return axes

    def _axes_of_line(self, array: FileArray) -> str:
        """Time first, unless the file's names or coordinates say otherwise."""
        named = "".join(letter_of(name) for name in array.axes)
        lengths = {letter: max(place.shape) for letter, place in self._places.items()}
        fits = [
            order
            for order in ("tx", "xt")
            if all(lengths.get(a, n) == n for a, n in zip(order, array.shape, strict=True))
        ]
        axes = named if named in ("tx", "xt") else next(iter(fits), "tx")
        size = dict(zip(axes, array.shape, strict=True))
        self._assumed.append(
            f"{array.name} read as ({', '.join(axes)}): {size['t']} frames of {size['x']} cells; "
            "if that is wrong, --axes"
        )
        return axes

    def _numbers(self, chosen: Sequence[FileArray]) -> dict[str, float]:
        """Arrays of a single number."""
        alone = [a for a in self._found.arrays.values() if a.is_number and math.prod(a.shape) == 1]
        return {
            a.name.rpartition("/")[2]: float(np.asarray(a.take(...), np.float64).reshape(()))
            for a in alone
            if a not in chosen
        }

    def _fields(
        self, chosen: Sequence[FileArray], axes: str, size: dict[str, int]
    ) -> NDArray[np.floating]:
        """The fields of one sample (T, C, H, W), in the file's type."""
        number = self._sample(size.get("s"))
        key = tuple(number if letter == "s" else slice(None) for letter in axes)
        left = axes.replace("s", "")
        order = [left.index(letter) for letter in "tcyx" if letter in left]
        parts = [array.take(key).transpose(order) for array in chosen]
        if "y" not in left:
            parts = [part[..., None, :] for part in parts]
        if "c" in left:
            return np.concatenate(parts, axis=1)
        return np.stack(parts, axis=1)

    def _sample(self, count: int | None) -> int:
        wanted = self._reading.sample
        number = wanted or 0
        if number >= (count or 1) or number < 0:
            raise UserError(
                f"{self._path}: --sample {number}, it holds {count or 1}, counted from 0"
            )
        if wanted is None and count is not None and count > 1:
            self._assumed.append(f"sample 0 of {count}; another one by --sample")
        return number

    def _channel_names(self, chosen: Sequence[FileArray], each: int) -> tuple[str, ...]:
        wanted = self._reading.channels
        names = [_short(array.name, chosen) for array in chosen]
        if each > 1:
            names = [f"{name}_{number}" for name in names for number in range(each)]
        if wanted and wanted[0] not in self._found.arrays:
            if len(wanted) != len(names):
                raise UserError(
                    f"{self._path}: --channels names {len(wanted)}, array {chosen[0].name!r} has "
                    f"{len(names)}"
                )
            self._assumed.append(f"array {chosen[0].name!r} is given the names of --channels")
            names = list(wanted)
        if len(names) > 1 and not wanted:
            self._assumed.append(
                f"channels in this order: {', '.join(names)}; a model tells them by their place, "
                "another order by --channels"
            )
        return tuple(names)

    def _mask(self, axes: str, size: dict[str, int]) -> NDArray[np.float32] | None:
        name = self._reading.mask
        arrays = self._found.arrays
        if "y" not in axes:
            if name is not None:
                raise UserError(f"{self._path}: --mask {name}: a line has no solid cells")
            return None
        if name is None:
            shape = {(size["y"], size["x"]), (size["x"], size["y"])}
            name = next((n for n in _MASKS if n in arrays and arrays[n].shape in shape), None)
            like = [n for n in _LIKE_MASKS if n in arrays]
            if like and name is None:
                self._assumed.append(
                    f"array {like[0]!r} is not looked at; --mask takes one with 1 in the fluid and "
                    "0 in solid cells"
                )
            if name is None:
                return None
            self._assumed.append(f"array {name!r} taken as the mask: 1 in the fluid")
        values = self._mask_values(name)
        if axes.index("x") < axes.index("y"):
            values = values.T
        where = f"{self._path}: mask {name!r}"
        if values.shape != (size["y"], size["x"]):
            wanted = tuple(size[letter] for letter in axes if letter in "yx")
            raise UserError(f"{where} is {values.T.shape if values.ndim == 2 else values.shape}, "
                            f"the fields' grid is {wanted}")  # fmt: skip
        if not np.isin(values, (0, 1)).all() or not values.any():
            raise UserError(f"{where}: wanted 1 in the fluid and 0 in solid cells, nothing else")
        if (solid := 1 - values.mean()) > 0.5:
            self._assumed.append(
                f"mask {name!r}: {solid:.0%} of the cells are solid; if it is 1 in the solid, save "
                "its opposite and give that by --mask"
            )
        return values.astype(np.float32)

    def _mask_values(self, name: str) -> NDArray[np.generic]:
        if name in self._found.arrays:
            return self._found.arrays[name].take(...)
        if not self._reading.mask_files:
            raise UserError(f"{self._path}: {unknown_name('array', name, self._found.arrays)}")
        if not Path(name).is_file():
            raise UserError(
                f"{self._path}: --mask {name}: neither a file nor "
                f"{unknown_name('array', name, self._found.arrays)}"
            )
        with open_arrays(Path(name)) as other:
            planes = [array for array in other.arrays.values() if len(array.shape) == 2]
            planes = [a for a in planes if a.dtype.kind in "fiub" and max(a.shape) > 1]
            if len(planes) > 1:
                planes = [array for array in planes if array.name in _MASKS] or planes
            if len(planes) != 1:
                raise UserError(f"{name}: holds {len(planes)} planes, wanted one, the mask")
            return planes[0].take(...)

    def _boundary(self) -> Boundary:
        if self._reading.boundary:
            return self._reading.boundary
        said = [self._found.words[w] for w in _BOUNDARY_WORDS if w in self._found.words]
        for boundary in _BOUNDARIES:
            if any(word.strip().lower() == boundary for word in said):
                return boundary
        about = f"the file says {said[0]!r}" if said else "the file does not say what it is"
        self._assumed.append(
            f"boundary: fields end at the sides ({about}); --boundary periodic if they go on"
        )
        return "edge"

    def _checked(
        self, fields: NDArray[np.floating], mask: NDArray[np.float32] | None, names: Sequence[str]
    ) -> NDArray[np.float32]:
        """The fields as float32, finite; what is not a number in solid cells becomes 0."""
        if mask is not None:
            odd = (mask < 0.5) & ~np.isfinite(fields)
            fields = np.where(odd, fields.dtype.type(0), fields)
            if odd.any():
                self._assumed.append("solid cells without a number hold 0 now, in the forecast too")
        with np.errstate(over="ignore"):
            result = fields.astype(np.float32)
        bad = ~np.isfinite(result)
        if not bad.any():
            return result
        frame, channel, row, column = (int(places[0]) for places in np.nonzero(bad))
        value = fields[frame, channel, row, column]
        about = "it does not fit into 32 bits; use other units"
        if not np.isfinite(value):
            about = "fix it; if such cells are solid, say so by --mask"
        raise UserError(
            f"{self._path}: {int(bad.sum())} values cannot be used, the first is {value} in "
            f"channel {names[channel]}, frame {frame}, row {row}, column {column}; {about}"
        )


def _in_words(array: FileArray) -> list[str | int]:
    """Alphabetical, numbers by their size: the same order whatever the format."""
    parts = re.split(r"(\d+)", array.name.lower())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def _short(name: str, chosen: Sequence[FileArray]) -> str:
    """Without its groups, if it can still be told from the others."""
    short = name.rpartition("/")[2]
    return short if sum(a.name.rpartition("/")[2] == short for a in chosen) == 1 else name


def _exchanged(axes: str) -> str:
    swapped = axes.translate(str.maketrans("yx", "xy"))
    return f"--axes {','.join(swapped)}"
