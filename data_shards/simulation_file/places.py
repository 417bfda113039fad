"""Coordinates of a file: its arrays in, the places of frames, rows and columns out.

Vectors named as time, x or y, also as MATLAB's (1, N), and planes of `meshgrid`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.simulation_file.arrays import FileArray
from data_shards.simulation_file.axes import letter_of
from data_shards.simulation_file.simulation import Coordinate

_EVEN = 0.01  # of the mean step, what the steps of an even grid differ by at most
_WORDS = {"t": "frames", "y": "rows", "x": "columns"}


@dataclass(frozen=True)
class Found:
    """A coordinate, and what was assumed about it."""

    place: Coordinate
    notes: list[str]
    is_measured: bool = False  # by the file, not counted

    def reversed(self) -> Coordinate:
        """The other way round."""
        return replace(self.place, values=self.place.values[::-1])


def find_places(arrays: Mapping[str, FileArray]) -> dict[str, FileArray]:
    """Letter of t, y, x -> the array with its coordinate, where there is just one length."""
    found: dict[str, list[FileArray]] = {"t": [], "y": [], "x": []}
    for name in sorted(arrays):
        letter, array = letter_of(name), arrays[name]
        if letter in found and array.is_number and (flat := _vector(array)) is not None:
            found[letter].append(flat)
    return {
        letter: candidates[0]
        for letter, candidates in found.items()
        if len({array.shape for array in candidates}) == 1
    }


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
    values = np.asarray(array.take(...), np.float64).reshape(-1)
    if len(values) == count + 1 and count > 1:  # ends of intervals, or of cells
        values = values[:count] if letter == "t" else 0.5 * (values[1:] + values[:-1])
    fits = len(values) == count and bool(np.isfinite(values).all())
    if not fits or (count > 1 and np.ptp(values) == 0):  # netCDF keeps such for mere lengths
        about = f"coordinate {array.name!r} does not fit: {word} are counted from 0"
        return Found(counted, [about])
    steps: NDArray[np.float64] = np.diff(values)
    notes = []
    if not ((steps > 0).all() or (letter != "t" and (steps < 0).all())):
        raise UserError(
            f"{path}: coordinate {array.name!r} does not rise steadily; sort the {word} of the file"
        )
    if len(steps) and np.ptp(steps) > _EVEN * abs(steps.mean()):
        notes.append(
            f"{array.name!r} is uneven (steps of {abs(steps).min():.4g} to "
            f"{abs(steps).max():.4g}); the model takes it as even"
        )
    return Found(Coordinate(array.name, values, array.attributes), notes, is_measured=True)


def is_falling(values: NDArray[np.float64]) -> bool:
    """Whether an axis is run through from high to low."""
    return len(values) > 1 and bool(values[0] > values[-1])
