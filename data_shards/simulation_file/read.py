"""Read a scientist's own file: which arrays are fields, how they lie, where they are.

In: a file and what its owner says of it. Out: a `Simulation`, with every assumption in plain
words. What cannot be known is asked for, with the candidates, and never guessed.
Axes: T frames, C channels, H rows (y, upwards), W columns (x); a line is a plane of one row, as
in the corpora of one dimension.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError, unknown_name
from data_shards.simulation_file.arrays import FileArray, FileArrays, open_arrays
from data_shards.simulation_file.axes import (
    SUPPORTED,
    Evidence,
    guess_axes,
    letter_of,
    read_axes,
    told_grid,
)
from data_shards.simulation_file.masks import OPPOSITE, find_mask, is_mask
from data_shards.simulation_file.places import (
    Found,
    coordinate,
    find_places,
    has_depth,
    is_falling,
    is_place,
    letter_of_axis,
)
from data_shards.simulation_file.runs import Run, find_runs, in_words
from data_shards.simulation_file.simulation import Boundary, Coordinate, FileLayout, Simulation

_BOUNDARIES: tuple[Boundary, ...] = get_args(Boundary)
_BOUNDARY_WORDS = ("boundary", "boundary_condition", "boundary_conditions", "bc")


@dataclass(frozen=True)
class Reading:
    """What the owner of a file says of it; None is found out.

    Attributes:
        axes: a letter per axis: "t,y,x,c".
        channels: names of arrays, one per channel, or of the channels of one array.
        mask: an array of the file, or another file, 1 in the fluid and 0 in solid cells; with "1-"
            before its name the other way round.
        mask_files: whether the mask may be another file; not for whoever names it from afar.
        sample: number of the run, where the file holds several.
        boundary: across which sides the fields go on.
        frames: fewest frames that are of use; by default those that most models see.
    """

    axes: str | None = None
    channels: tuple[str, ...] | None = None
    mask: str | None = None
    sample: int | None = None
    boundary: Boundary | None = None
    frames: int = 10
    mask_files: bool = True


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
        self._runs = self._find_runs()
        sample = reading.sample or 0
        several = len(self._runs) > 1
        self._run = self._runs[self._number(len(self._runs)) if several else 0]
        self._arrays = self._run.arrays
        row = 0 if several else sample
        self._places = find_places(self._arrays, row) | find_places(self._run.own, row)

    def simulation(self) -> Simulation:
        """Everything, checked."""
        chosen = self._choose()
        first = next(iter(chosen.values()))
        axes = self._axes(chosen)
        size = dict(zip(axes, first.shape, strict=True))
        fields = self._fields(chosen, axes, size)
        names = self._channel_names(chosen, size.get("c", 1))
        places = self._coordinates(first, axes, size)
        mask, unmasked = find_mask(
            self._path,
            self._arrays,
            fields,
            axes,
            said=self._reading.mask,
            other_files=self._reading.mask_files,
        )
        self._assumed += unmasked if mask is None else mask.notes
        fluid = None if mask is None else mask.fluid
        down = "".join(letter for letter in "yx" if is_falling(places[letter].place.values))
        for letter, axis in (("y", -2), ("x", -1)):
            if letter in down:
                fields = np.flip(fields, axis)
                fluid = None if fluid is None else np.flip(fluid, axis)
                self._assumed.append(f"{letter} falls along its axis; turned round, and back")
        behind = None if fluid is None else self._behind(fields, fluid)
        fields = self._checked(np.ascontiguousarray(fields), fluid, names)
        rows, columns = (
            places[a].place if a not in down else places[a].reversed() for a in ("y", "x")
        )
        return Simulation(
            fields=fields,
            channels=names,
            times=places["t"].place,
            rows=rows,
            columns=columns,
            boundary=self._boundary(),
            layout=self._layout(chosen, axes, down),
            source=self._path,
            mask=None if fluid is None else np.ascontiguousarray(fluid),
            behind=behind,
            assumed=tuple(self._assumed),
            samples=max(len(self._runs), size.get("s", 1)),
            numbers=self._numbers(chosen),
            measured="".join(letter for letter in "tyx" if places[letter].is_measured),
        )

    def _layout(self, chosen: dict[str, FileArray], axes: str, down: str) -> FileLayout:
        arrays = [*chosen.values()]
        return FileLayout(
            format=self._found.format,
            arrays=tuple(array.name for array in arrays),
            axes=axes,
            dtype=arrays[0].dtype.newbyteorder("="),
            down=down,
            attributes=tuple(array.attributes for array in arrays),
        )

    def _find_runs(self) -> list[Run]:
        """All runs; the whole file as one where the user has named its arrays."""
        arrays, wanted = self._found.arrays, self._reading.channels
        if not wanted or not all(name in arrays for name in wanted):
            return find_runs(self._path, arrays, self._reading.axes)
        # Places beside these arrays are theirs, others may be those of other runs.
        above = wanted[0].rpartition("/")[0].split("/")[0]
        own = {n.removeprefix(f"{above}/"): a for n, a in arrays.items()
               if above and n.startswith(f"{above}/")}  # fmt: skip
        return [Run("", own, dict(arrays))]

    def _choose(self) -> dict[str, FileArray]:
        """The arrays that hold the fields, by their names in the run."""
        wanted, arrays = self._reading.channels, self._arrays
        known = [name for name in wanted or () if name in arrays]
        if wanted and len(known) == len(wanted):
            chosen = {name: arrays[name] for name in wanted}
        else:
            chosen = self._candidates()
            if wanted and (known or len(chosen) > 1):
                missing = next(name for name in wanted if name not in arrays)
                raise UserError(f"{self._path}: {unknown_name('array', missing, arrays)}")
        for array in chosen.values():
            self._check_type(array)
        shapes = {array.shape for array in chosen.values()}
        if len(shapes) > 1:
            each = "; ".join(f"{array.name} {array.shape}" for array in [*chosen.values()][:8])
            raise UserError(
                f"{self._path}: arrays of several shapes: {each}; name those that are channels "
                "of one simulation by --channels NAME,NAME"
            )
        return chosen

    def _candidates(self) -> dict[str, FileArray]:
        arrays = self._run.own
        aside = {array.name for array in self._places.values()}
        aside.add((self._reading.mask or "").removeprefix(OPPOSITE))
        left = {
            name: array
            for name, array in arrays.items()
            if not {name, array.name} & aside
            and not is_mask(name, len(array.shape))
            and not is_place(array)
            and (not letter_of(name) or len(array.shape) > 2)
        }
        deep = {n: a for n, a in left.items() if len(a.shape) > 2}
        fewest = min(3, self._reading.frames)  # what is thinner may be a vector
        flat = {
            name: array
            for name, array in left.items()
            if len(array.shape) == 2 and min(array.shape) >= fewest and max(array.shape) > 2
        }
        for some in (deep, flat):
            chosen = [name for name, array in some.items() if array.dtype.kind == "f"]
            if not chosen:
                continue
            if others := [array.name for array in some.values() if array.dtype.kind != "f"]:
                self._assumed.append(f"left aside, no floating-point numbers: {', '.join(others)}")
            if chosen == sorted(chosen):  # the alphabet is no order of the owner's
                chosen.sort(key=in_words)
            return {name: some[name] for name in chosen}
        odd = next(
            (a for a in (*deep.values(), *left.values()) if len(a.shape) > 2 or not a.is_number),
            None,
        )
        if odd is not None:
            self._check_type(odd)
        there = "; ".join(f"{a.name} {a.shape}" for a in [*arrays.values()][:8]) or "nothing"
        raise UserError(f"{self._path}: no frames of planes: {SUPPORTED}; there is {there}")

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

    def _axes(self, chosen: dict[str, FileArray]) -> str:
        array, reading = next(iter(chosen.values())), self._reading
        where = f"{self._path}: array {array.name!r}"
        if reading.axes:
            return read_axes(reading.axes, array.shape, f"array {array.name!r}")
        depth = has_depth(self._arrays.values(), array.shape)
        if len(array.shape) > 3 and depth:
            raise UserError(
                f"{where}: {array.shape} and a coordinate {depth!r}: three dimensions of "
                "space, the model takes planes; save a slice, or say by --axes what the axes are"
            )
        one_each = len(chosen) > 1
        renamed = reading.channels if reading.channels != tuple(chosen) else None
        evidence = Evidence(
            names=self._names_of_axes(next(iter(chosen)), array),
            lengths={letter: max(place.shape) for letter, place in self._places.items()},
            channels=len(renamed) if renamed and not one_each else None,
            one_each=one_each,
            frames=reading.frames,
            samples=reading.sample is not None and len(self._runs) == 1 and len(array.shape) > 2,
            planes=any(
                is_mask(name) and len(a.shape) == 2 and min(a.shape) > 1
                for name, a in self._arrays.items()
            ),
        )
        axes = guess_axes(array.shape, evidence, where)
        named = {letter_of(name) for name in evidence.names}
        size = dict(zip(axes, array.shape, strict=True))
        told = f"{', '.join(a.name for a in chosen.values())} read as ({', '.join(axes)}): "
        told += f"{size['t']} frames of "
        told += f"{size['y']} rows x {size['x']} columns" if "y" in size else told_grid(size)
        if not set("tyx") & set(axes) <= named:
            told += "; if that is wrong, --axes"
            if size.get("y") == size["x"] and not {"x", "y"} & named:
                told += f" (the grid is square: columns may be rows, {_exchanged(axes)})"
        self._assumed.append(told)
        return axes

    def _names_of_axes(self, name: str, array: FileArray) -> tuple[str, ...]:
        """Letters where coordinates tell them; the one axis that differs between runs is time."""
        names = [letter_of_axis(axis, self._places) or axis for axis in array.axes]
        names = names or [""] * len(array.shape)
        shapes = {run.own[name].shape for run in self._runs if name in run.own}
        if len(shapes) > 1 and len({len(shape) for shape in shapes}) == 1:
            differ = [axis for axis, sizes in enumerate(zip(*shapes, strict=True))
                      if len(set(sizes)) > 1]  # fmt: skip
            if len(differ) == 1 and not names[differ[0]]:
                names[differ[0]] = "time"
        return tuple(names)

    def _fields(
        self, chosen: dict[str, FileArray], axes: str, size: dict[str, int]
    ) -> NDArray[np.floating]:
        """The fields of one sample (T, C, H, W), in the file's type."""
        count, runs = size.get("s", 1), len(self._runs)
        if runs > 1 and count > 1:
            raise UserError(
                f"{self._path}: {runs} runs ({self._run.name}, ...) of {count} samples each; "
                f"choose a run by --channels {','.join(a.name for a in chosen.values())}, and a "
                "sample of it by --sample"
            )
        number = self._number(count) if runs == 1 else 0
        key = tuple(number if letter == "s" else slice(None) for letter in axes)
        left = axes.replace("s", "")
        order = [left.index(letter) for letter in "tcyx" if letter in left]
        parts = [array.take(key).transpose(order) for array in chosen.values()]
        fields = np.concatenate(parts, axis=1) if "c" in left else np.stack(parts, axis=1)
        return fields if "y" in axes else fields[:, :, None]

    def _number(self, count: int) -> int:
        """Which of several runs is read."""
        wanted = self._reading.sample
        number = wanted or 0
        if number >= count or number < 0:
            raise UserError(f"{self._path}: --sample {number}, it holds {count}, counted from 0")
        if wanted is None and count > 1:
            name = f" ({self._runs[0].name})" if self._runs[0].name else ""
            self._assumed.append(f"run 0 of {count}{name}; another one by --sample")
        return number

    def _channel_names(self, chosen: dict[str, FileArray], each: int) -> tuple[str, ...]:
        wanted, first = self._reading.channels, next(iter(chosen.values())).name
        names = [_short(name, chosen) for name in chosen]
        if each > 1:
            names = [f"{name}_{number}" for name in names for number in range(each)]
        if wanted and wanted[0] not in self._arrays:
            if len(wanted) != len(names):
                raise UserError(
                    f"{self._path}: --channels names {len(wanted)}, array {first!r} has "
                    f"{len(names)}"
                )
            self._assumed.append(f"array {first!r} is given the names of --channels")
            names = list(wanted)
        if len(names) > 1 and not wanted:
            self._assumed.append(
                f"channels in this order: {', '.join(names)}; a model tells them by their place, "
                "another order by --channels"
            )
        return tuple(names)

    def _coordinates(self, first: FileArray, axes: str, size: dict[str, int]) -> dict[str, Found]:
        """Places of frames, rows and columns; a line lies in the middle of one row."""
        axis_names = dict.fromkeys(axes, "") | dict(zip(axes, first.axes, strict=False))
        places = {
            letter: coordinate(
                self._places.get(letter), letter, size[letter], self._path, axis_names[letter]
            )
            for letter in "tyx"
            if letter in axes
        }
        for each in places.values():
            self._assumed += each.notes
        places.setdefault("y", Found(Coordinate("y", np.array([0.5])), []))
        return places

    def _numbers(self, chosen: dict[str, FileArray]) -> dict[str, float]:
        """Arrays of a single number: of all runs, and over them those of the run."""
        alone = {
            name: float(np.asarray(array.take(...), np.float64).reshape(()))
            for name, array in reversed(self._arrays.items())
            if name not in chosen and array.is_number and math.prod(array.shape) == 1
        }
        return {n.rpartition("/")[2]: value for n, value in alone.items() if math.isfinite(value)}

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

    def _behind(
        self, fields: NDArray[np.floating], fluid: NDArray[np.float32]
    ) -> NDArray[np.floating] | None:
        """What solid cells hold in the last frame (C, H, W); None if that is 0 in all frames."""
        solid = fluid < 0.5
        if not fields[..., solid].any():  # NaN is something
            return None
        self._assumed.append(
            "solid cells hold 0 for the model, as in training; what the file has there is written "
            "into the forecast"
        )
        return np.array(fields[-1])

    def _checked(
        self, fields: NDArray[np.floating], fluid: NDArray[np.float32] | None, names: Sequence[str]
    ) -> NDArray[np.float32]:
        """The fields as float32, finite; 0 in solid cells."""
        if fluid is not None:
            fields = np.where(fluid < 0.5, fields.dtype.type(0), fields)
        with np.errstate(over="ignore"):
            result = fields.astype(np.float32)
        bad = ~np.isfinite(result)
        if not bad.any():
            return result
        frame, channel, row, column = (int(places[0]) for places in np.nonzero(bad))
        value = fields[frame, channel, row, column]
        about = "it does not fit into 32 bits; use other units"
        if not np.isfinite(value):
            about = _about_gaps(bad, names)
        raise UserError(
            f"{self._path}: {int(bad.sum())} values cannot be used, the first is {value} in "
            f"channel {names[channel]}, frame {frame}, row {row}, column {column}; {about}"
        )


def _about_gaps(bad: NDArray[np.bool_], names: Sequence[str]) -> str:
    """What to do where (T, C, H, W) are no numbers."""
    if nothing := [name for place, name in enumerate(names) if bad[:, place].all()]:
        return f"no value is one in {', '.join(nothing)}: leave it out by --channels"
    if (bad == bad[:1]).all():
        return (
            "they are the same cells in all frames: if these are solid, as land is, give a "
            "mask by --mask"
        )
    return "a fill value, or none; fill the gaps, or cut the frames that have them"


def _short(name: str, chosen: Sequence[str] | dict[str, FileArray]) -> str:
    """Without its groups, if it can still be told from the others."""
    short = name.rpartition("/")[2]
    return short if sum(other.rpartition("/")[2] == short for other in chosen) == 1 else name


def _exchanged(axes: str) -> str:
    swapped = axes.translate(str.maketrans("yx", "xy"))
    return f"--axes {','.join(swapped)}"
