"""A steady problem in a scientist's own file: named planes and numbers in, fields out.

A model that knows its channels by name (source, k11, ...) finds them in the file under those
names: a plane is a field, a single number a coefficient. Nothing is guessed from shapes.
Axes: H rows (y, upwards), W columns (x).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError, unknown_name
from data_shards.simulation_file.arrays import FileArray, FileArrays, open_arrays
from data_shards.simulation_file.places import coordinate, find_places, is_falling
from data_shards.simulation_file.simulation import Coordinate, FileLayout, Simulation

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Problem:
    """What one file says of a steady problem.

    Attributes:
        planes: the given fields as the single frame of a simulation, channels by slot.
        parameters: coefficients that are numbers, by slot.
        assumed: what was taken for granted, in plain words.
    """

    planes: Simulation
    parameters: dict[str, float]
    assumed: tuple[str, ...]

    @property
    def fields(self) -> dict[str, Plane]:
        """Planes (H, W) by slot."""
        return dict(zip(self.planes.channels, self.planes.fields[0], strict=True))


def read_problem(
    path: Path,
    slots: Sequence[str],
    *,
    renamed: Mapping[str, str] | None = None,
    parameters: Mapping[str, float] | None = None,
    sample: int | None = None,
) -> Problem:
    """Read what a model with named channels takes.

    Args:
        path: .h5, .hdf5, .nc, .npz, .npy or .mat.
        slots: of the model; the first one is needed.
        renamed: slot -> name of the array that fills it.
        parameters: slot -> number, over what the file says.
        sample: number of the problem where arrays have one more axis, the first.

    Raises:
        UserError: no such file, damaged, the first slot is missing, planes of several shapes, or
            values that are no finite numbers.
    """
    with open_arrays(path) as found:
        arrays = _named(path, found, slots, renamed or {})
        for name in parameters or {}:
            if name not in slots:
                raise UserError(f"--parameters {name}: {unknown_name('slot', name, slots)}")
        count = _count(path, arrays.get(slots[0]), sample)
        numbers = {
            slot: _number(path, a, sample or 0, count)
            for slot, a in arrays.items()
            if _is_number(a, count) and slot != slots[0]
        }
        planes = {
            slot: _plane(path, array, sample)
            for slot, array in arrays.items()
            if slot not in numbers and slot not in (parameters or {})
        }
        numbers |= dict(parameters or {})
        if slots[0] not in planes:
            known = ", ".join(found.arrays) or "nothing"
            raise UserError(
                f"{path}: no plane {slots[0]!r}, which the model begins with; it holds {known}; "
                f"say which one it is by --channels {slots[0]}=NAME"
            )
        shapes = {slot: plane.shape for slot, plane in planes.items()}
        if len(set(shapes.values())) > 1:
            each = "; ".join(f"{slot} {shape}" for slot, shape in shapes.items())
            raise UserError(f"{path}: planes of several shapes: {each}; save them on one grid")
        simulation, notes = _frame(path, found, arrays[slots[0]], planes)
    assumed = (*notes, *_assumed(slots, planes, numbers))
    if count > 1 and sample is None:
        assumed = (f"problem 0 of {count}; another one by --sample", *assumed)
    return Problem(simulation, numbers, assumed)


def _count(path: Path, first: FileArray | None, sample: int | None) -> int:
    """Problems in the file: as many as the first slot has planes."""
    count = first.shape[0] if first is not None and len(first.shape) == 3 else 1
    if sample is not None and not 0 <= sample < count:
        raise UserError(f"{path}: --sample {sample}, it holds {count}, counted from 0")
    return count


def _named(
    path: Path, found: FileArrays, slots: Sequence[str], renamed: Mapping[str, str]
) -> dict[str, FileArray]:
    """Arrays by slot: those renamed, and those that are called as slots are."""
    for slot, name in renamed.items():
        if slot not in slots:
            raise UserError(f"--channels {slot}={name}: {unknown_name('slot', slot, slots)}")
        if name not in found.arrays:
            raise UserError(f"{path}: {unknown_name('array', name, found.arrays)}")
    short: dict[str, FileArray] = {}
    for name, array in found.arrays.items():
        last = name.rpartition("/")[2]
        if last in slots and last not in renamed and last in short:
            raise UserError(
                f"{path}: {last} is in {short[last].name} and {name}; say which by "
                f"--channels {last}={name}"
            )
        short[last] = array
    return {
        slot: found.arrays[renamed[slot]] if slot in renamed else short[slot]
        for slot in slots
        if slot in renamed or slot in short
    }


def _is_number(array: FileArray, count: int) -> bool:
    """Whether it is a number, or a vector (MATLAB's too) with one of each problem."""
    if not array.is_number or len(array.shape) > 2:
        return False
    return len(array.shape) < 2 or max(array.shape) == 1 or (1 in array.shape and count > 1)


def _number(path: Path, array: FileArray, sample: int, count: int) -> float:
    values = np.asarray(array.take(...), np.float64).ravel()
    if values.size not in (1, count):
        raise UserError(
            f"{path}: {array.name} has {values.size} numbers for {count} problems; wanted one, or "
            "one of each"
        )
    value = float(values[sample if values.size > 1 else 0])
    if not np.isfinite(value):
        raise UserError(f"{path}: {array.name} holds no finite number for problem {sample}")
    return value


def _plane(path: Path, array: FileArray, sample: int | None) -> Plane:
    """One plane (H, W) of an array (H, W) or (N, H, W)."""
    where = f"{path}: array {array.name!r}"
    if not array.is_number or len(array.shape) not in (2, 3) or 0 in array.shape:
        raise UserError(f"{where} is {array.shape} of {array.dtype}; wanted numbers (H, W)")
    number = sample or 0
    if len(array.shape) == 3 and number >= array.shape[0]:
        raise UserError(f"{where}: holds {array.shape[0]} planes, problem {number} is asked")
    values = np.asarray(array.take(...) if len(array.shape) == 2 else array.take(number))
    plane = values.astype(np.float32)
    if not np.isfinite(plane).all():
        raise UserError(f"{where}: {int((~np.isfinite(plane)).sum())} values are not finite")
    return plane


def _frame(
    path: Path, found: FileArrays, first: FileArray, planes: Mapping[str, Plane]
) -> tuple[Simulation, list[str]]:
    """The planes as one frame, and what is odd about their places."""
    fields = np.stack([*planes.values()])[None]
    there = find_places(found.arrays)
    rows, columns = (
        coordinate(there.get(letter), letter, size, path)
        for letter, size in zip("yx", fields.shape[2:], strict=True)
    )
    down = ""
    for letter, axis, found_place in (("y", -2, rows), ("x", -1, columns)):
        if is_falling(found_place.place.values):  # turned round, and back where it is written
            fields, down = np.flip(fields, axis), down + letter
    rows_up, columns_up = (
        each.reversed() if letter in down else each.place
        for letter, each in (("y", rows), ("x", columns))
    )
    notes = [note for place in (rows, columns) for note in place.notes if "uneven" in note]
    frame = Simulation(
        fields=np.ascontiguousarray(fields),
        channels=tuple(planes),
        times=Coordinate("t", np.zeros(1)),
        rows=rows_up,
        columns=columns_up,
        boundary="periodic",
        layout=FileLayout(
            found.format, (first.name,), "yx", np.dtype(np.float32), down, attributes=({},)
        ),
        source=path,
    )
    return frame, notes


def _assumed(
    slots: Sequence[str], planes: Mapping[str, Plane], numbers: Mapping[str, float]
) -> tuple[str, ...]:
    absent = [slot for slot in slots if slot not in planes and slot not in numbers]
    lines = [f"planes {', '.join(planes)}; numbers {_told(numbers)}"]
    if absent:
        lines.append(f"{', '.join(absent)}: not in the file, so 0; --parameters {absent[0]}=VALUE")
    lines.append("a unit square whose fields go on across its sides, rows upwards")
    return tuple(lines)


def _told(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{slot}={value:g}" for slot, value in numbers.items()) or "none"
