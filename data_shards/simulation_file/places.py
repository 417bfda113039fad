"""Coordinates of a file: its arrays in, the places of frames, rows and columns out.

What a coordinate is of, its type tells (dates are times), its attributes (`axis`,
`standard_name`, units such as "hours since ..." and "degrees_east"), and else its name. Vectors
are taken, also as MATLAB's (1, N), planes of `meshgrid`, and times with a row per run.
Source of the attributes: CF conventions 1.11, chapter 4.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.formats.hdf5 import MOST_ENTRIES
from data_shards.simulation_file.arrays import FileArray
from data_shards.simulation_file.axes import letter_of
from data_shards.simulation_file.simulation import Coordinate
from data_shards.simulation_file.time_units import is_time

_EVEN = 0.01  # of the mean step, what the steps of an even grid differ by at most
_WORDS = {"t": "frames", "y": "rows", "x": "columns"}
_AROUND = 360.0  # degrees
_STANDARD = {
    "time": "t", "latitude": "y", "grid_latitude": "y", "projection_y_coordinate": "y",
    "longitude": "x", "grid_longitude": "x", "projection_x_coordinate": "x", "depth": "z",
    "height": "z", "altitude": "z", "air_pressure": "z", "model_level_number": "z",
}  # fmt: skip
_DEGREES = {"degrees_north": "y", "degree_north": "y", "degrees_n": "y",
            "degrees_east": "x", "degree_east": "x", "degrees_e": "x"}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A coordinate, and what was assumed about it."""

    place: Coordinate
    notes: list[str]
    is_measured: bool = False  # by the file, not counted

    def reversed(self) -> Coordinate:
        """The other way round."""
        stored = self.place.stored
        return replace(
            self.place,
            values=self.place.values[::-1],
            stored=None if stored is None else stored[::-1],
        )


def find_places(arrays: Mapping[str, FileArray], run: int = 0) -> dict[str, FileArray]:
    """Letter of t, y, x -> the array with its coordinate, where there is just one length.

    Args:
        arrays: of a file, by name.
        run: whose row is taken of times that every run has a row of.
    """
    axes = {name for array in arrays.values() if len(array.shape) > 1 for name in array.axes}
    found: dict[str, dict[int, list[FileArray]]] = {"t": {}, "y": {}, "x": {}}
    for name in sorted(arrays):
        array, last = arrays[name], name.rpartition("/")[2]
        letter, sure = _letter_of_array(array, last)
        may_be_place = (array.is_number or array.is_date) and prod(array.shape) <= MOST_ENTRIES
        if letter in found and may_be_place:
            flat = _vector(array) or (_row(array, run) if letter == "t" else None)
            if flat is not None:
                rank = 0 if last in axes else 1 if sure else 2 if letter_of(last) else 3
                found[letter].setdefault(rank, []).append(flat)
    best = {letter: ranks[min(ranks)] for letter, ranks in found.items() if ranks}
    return {
        letter: candidates[0]
        for letter, candidates in best.items()
        if len({array.shape for array in candidates}) == 1
    }


def letter_of_axis(name: str, places: Mapping[str, FileArray]) -> str:
    """What an axis of this name is, by the coordinate of its name, if there is one."""
    last = name.rpartition("/")[2]
    named = (a for a, place in places.items() if place.name.rpartition("/")[2] == last)
    return next(named, "") or letter_of(name)


def has_depth(arrays: Iterable[FileArray], shape: tuple[int, ...]) -> str:
    """Name of a coordinate of height or depth with more than one entry that fits, or empty."""
    for array in arrays:
        letter = _letter_of_array(array, array.name.rpartition("/")[2])[0]
        if letter == "z" and 1 < max(array.shape, default=0) in shape and len(array.shape) < 3:
            return array.name
    return ""


def is_place(array: FileArray) -> bool:
    """Whether more than the name of an array says that it is a coordinate, on any axes."""
    return _letter_of_array(array, "")[1]


def _letter_of_array(array: FileArray, name: str) -> tuple[str, bool]:
    """What a coordinate is of, and whether more than its name says so."""
    if array.is_date:
        return "t", True
    about = array.attributes
    axis = about.get("axis", "").strip().lower()
    if axis in ("t", "z", "y", "x"):
        return axis, True
    units, standard = about.get("units", ""), about.get("standard_name", "").strip().lower()
    said = _STANDARD.get(standard) or _DEGREES.get(units.strip().lower())
    if said:
        return said, True
    if len(array.shape) == 1 and is_time(units) and not letter_of(name):
        return "t", False
    return letter_of(name), False


def _vector(array: FileArray) -> FileArray | None:
    """A vector, whether it is kept as one, as a row or column, or as a plane of a mesh."""
    if len(array.shape) == 1 and array.shape[0] > 0:
        return array
    if len(array.shape) != 2 or 0 in array.shape:
        return None
    values = np.asarray(array.take(...))
    if min(values.shape) == 1:
        flat = values.reshape(-1)
    elif np.array_equal(values, np.broadcast_to(values[:1], values.shape)):
        flat = values[0]
    elif np.array_equal(values, np.broadcast_to(values[:, :1], values.shape)):
        flat = values[:, 0]
    else:
        return None
    return replace(array, shape=flat.shape, take=flat.__getitem__, axes=())


def _row(array: FileArray, run: int) -> FileArray | None:
    """The row of one run, of times (run, frame) that rise in every row."""
    if len(array.shape) != 2 or run >= array.shape[0] or array.shape[1] < 2:
        return None
    values = np.asarray(array.take(...))
    if not (np.diff(values, axis=1) > np.zeros(1, np.diff(values[:1]).dtype)).all():
        return None
    row = values[run]
    return replace(array, shape=row.shape, take=row.__getitem__, axes=())


def coordinate(
    array: FileArray | None, letter: str, count: int, path: Path, axis: str = ""
) -> Found:
    """The places along one axis; numbers where the file gives none.

    Args:
        array: with the coordinate, if there is one.
        letter: t, y or x.
        count: entries of the axis.
        path: of the file, for messages.
        axis: name of the axis in the file, which a coordinate gets that it lacks.

    Raises:
        UserError: time stands still or runs backwards.
    """
    counted = Coordinate(axis or letter, np.arange(count, dtype=np.float64))
    word = _WORDS[letter]
    if array is None:
        return Found(counted, [f"no coordinate {letter}: {word} are counted from 0"])
    place = _dates(array) if array.is_date else _numbers(array)
    values = place.values
    if len(values) == count + 1 and count > 1:  # ends of intervals, or of cells
        values = values[:count] if letter == "t" else 0.5 * (values[1:] + values[:-1])
        place = replace(place, values=values)
    fits = len(values) == count and bool(np.isfinite(values).all())
    if not fits or (count > 1 and np.ptp(values) == 0):  # netCDF keeps such for mere lengths
        about = f"coordinate {array.name!r} does not fit: {word} are counted from 0"
        return Found(counted, [about])
    notes = []
    if letter == "x" and _is_cut(array, values):
        place = replace(place, values=np.unwrap(values, period=_AROUND), stored=values)
        notes.append(
            f"{array.name!r} goes round the globe from {values[0]:.6g} to {values[-1]:.6g}: the "
            "columns are neighbours in the order of the file, and stay so"
        )
    steps: NDArray[np.float64] = np.diff(place.values)
    if not ((steps > 0).all() or (letter != "t" and (steps < 0).all())):
        raise UserError(f"{path}: {_disordered(array.name, place.values, letter)}")
    if len(steps) and np.ptp(steps) > _EVEN * abs(steps.mean()):
        notes.append(
            f"{array.name!r} is uneven (steps of {abs(steps).min():.4g} to "
            f"{abs(steps).max():.4g}); the model takes it as even"
        )
    return Found(place, notes, is_measured=True)


def is_falling(values: NDArray[np.float64]) -> bool:
    """Whether an axis is run through from high to low."""
    return len(values) > 1 and bool(values[0] > values[-1])


def _numbers(array: FileArray) -> Coordinate:
    values = np.asarray(array.take(...), np.float64).reshape(-1)
    return Coordinate(array.name, values, array.attributes)


def _dates(array: FileArray) -> Coordinate:
    """Dates as numbers from the first one on, in the unit that they are kept in."""
    dates = np.asarray(array.take(...)).reshape(-1)
    unit, count = np.datetime_data(dates.dtype)
    if unit == "generic" or np.isnat(dates).any():
        return Coordinate(array.name, np.full(len(dates), np.nan))
    values = (dates - dates[0]).astype(np.int64).astype(np.float64) * count
    unit = {"M": "months", "Y": "years", "m": "min"}.get(unit, unit)
    about = f"{unit} since {dates[0]}" if array.dtype.kind == "M" else unit
    return Coordinate(array.name, values, {"units": about}, origin=dates[0])


def _is_cut(array: FileArray, values: NDArray[np.float64]) -> bool:
    """Whether longitudes jump by a whole turn somewhere, and rise or fall steadily without it."""
    units = array.attributes.get("units", "").lower()
    if not (units.startswith("degree") or "lon" in array.name.lower()) or len(values) < 3:
        return False
    steps, whole = np.diff(values), np.diff(np.unwrap(values, period=_AROUND))
    jumps = not ((steps > 0).all() or (steps < 0).all())
    steady = bool((whole > 0).all() or (whole < 0).all())
    return jumps and steady and abs(whole.sum()) < _AROUND + abs(whole).max()


def _disordered(name: str, values: NDArray[np.float64], letter: str) -> str:
    """What is wrong with a coordinate, and what to do that makes no wrong file of it."""
    steps, word = np.diff(values), _WORDS[letter]
    rising = letter == "t" or (steps > 0).sum() >= (steps < 0).sum()
    at = int(np.argmax(steps <= 0 if rising else steps >= 0))
    return (
        f"coordinate {name!r} does not rise steadily: {values[at]:.6g} is followed by "
        f"{values[at + 1]:.6g} (entry {at + 1}); if it is where the {word} lie, put the fields in "
        f"its order together with it; if it is not, rename it, and the {word} are counted"
    )
