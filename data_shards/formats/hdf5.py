"""HDF5 files of strangers: every fault becomes one line that names file and fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.formats.trial import fault_of
from data_shards.untrusted import check_plain

MOST_DEPTH, MOST_OBJECTS = 32, 100_000  # of groups and arrays
MOST_ENTRIES = 1 << 24  # of what is read whole: coordinates, and masks of up to 256^3 cells


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        UserError: it is not HDF5, truncated, or cannot be read at all.
    """
    if path.exists():
        check_plain(path)
        if not h5py.is_hdf5(path):
            raise UserError(f"{path}: not an HDF5 file ({appearance(path)})")
        if fault := fault_of(path):
            raise UserError(f"{path}: damaged: {fault}; fetch or write it again")
    with legible(path):
        # Many shared file systems know no locks, and nobody else writes a download.
        return h5py.File(path, "r", locking="best-effort")


def appearance(path: Path) -> str:
    """What a file of a wrong kind seems to be, and what to do about it."""
    with path.open("rb") as file:
        first = file.read(64).lstrip().lower()
    if not first:
        return "it is empty; fetch it again"
    if first.startswith((b"pk", b"\x1f\x8b")):
        return "it is packed; unpack it first"
    if first.startswith((b"<!", b"<html")):
        return "it is a web page, saved under this name; fetch the file itself"
    return f"it begins with {first[:8]!r}; fetch it again"


@contextmanager
def legible(path: Path) -> Iterator[None]:
    """Report what h5py cannot read as damage to the file; nothing else belongs in its block.

    Raises:
        UserError: in place of the library's own errors.
    """
    try:
        yield
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        fault = " ".join(str(error).split())
        raise UserError(f"{path}: damaged or cut short: {fault}; fetch it again") from error


def refuse_foreign(found: h5py.Dataset | h5py.Group, file: h5py.File) -> None:
    """Refuse what lies outside of the opened file: it could be any file of this machine.

    Args:
        found: in the file by its name.
        file: the opened file.

    Raises:
        UserError: a link led to another file, or the numbers are kept in others.
    """
    path = Path(file.filename)
    with legible(path):
        # Names of files may be written in many ways; the number is that of the open file.
        numbers = {h5py.h5o.get_info(place.id).fileno for place in (found, file["/"])}
        stored = isinstance(found, h5py.Dataset) and (found.external or found.is_virtual)
    if len(numbers) > 1 or stored:
        raise UserError(
            f"{path}: {found.name} is taken from another file; do not trust this file, fetch it "
            "again from its publisher"
        )


def refuse_overgrown(path: Path, name: str, number: int) -> None:
    """Refuse a file of more groups, or deeper ones, than anybody makes: they take hours to visit.

    Args:
        path: of the file.
        name: of what is visited, with the groups it lies in.
        number: of what was visited so far.

    Raises:
        UserError: it is too deep, or one too many.
    """
    if name.count("/") >= MOST_DEPTH or number > MOST_OBJECTS:
        raise UserError(
            f"{path}: more than {MOST_DEPTH} groups in each other, or more than {MOST_OBJECTS} "
            "in all; do not trust this file"
        )


def refuse_large(shape: tuple[int, ...], name: str, path: Path) -> None:
    """Refuse to read at once what is far larger than any coordinate or mask.

    A few bytes can announce any shape: what was never written comes as zeros.

    Args:
        shape: of what would be read.
        name: of the array, for the message.
        path: the file, for the message.

    Raises:
        UserError: it has more than `MOST_ENTRIES`.
    """
    if prod(shape) > MOST_ENTRIES:
        raise UserError(
            f"{path}: {name} has {prod(shape)} numbers, wanted {MOST_ENTRIES} at most; do not "
            "trust this file, fetch it again from its publisher"
        )


def find_dataset(group: h5py.Group, name: str, axes: tuple[str, ...]) -> h5py.Dataset:
    """A dataset by name, of the expected rank and of floating-point numbers.

    Args:
        group: the file or a group in it.
        name: path below the group.
        axes: names of the expected axes, for the message.

    Raises:
        UserError: there is none of this name, it is of another rank or type, or it is taken
            from another file.
    """
    path = Path(group.file.filename)
    with legible(path):
        found: Any = group.get(name)
        dtype = found.dtype if isinstance(found, h5py.Dataset) else None
    where = f"{path}: {group.name.rstrip('/')}/{name}"
    if dtype is None:
        raise UserError(f"{where}: no such dataset; there is {_beside(group, name)}")
    refuse_foreign(found, group.file)
    if found.ndim != len(axes) or dtype.kind != "f":
        raise UserError(
            f"{where}: {dtype} {found.shape}; wanted floating-point numbers over "
            f"({', '.join(axes)})"
        )
    return found


def find_coordinate(group: h5py.Group, name: str, axis: str) -> NDArray[Any]:
    """The numbers of a dataset of one axis; see `find_dataset`.

    Raises:
        UserError: as there, or it is too long for any coordinate.
    """
    dataset = find_dataset(group, name, (axis,))
    path = Path(group.file.filename)
    refuse_large(dataset.shape, dataset.name, path)
    with legible(path):
        return np.asarray(dataset[()])


def _beside(group: h5py.Group, name: str) -> str:
    """What there is where a name was looked for, in the innermost group that exists."""
    above = name.rpartition("/")[0]
    with legible(Path(group.file.filename)):
        found = group.get(above) if above else group
        if not isinstance(found, h5py.Group):
            return _beside(group, above)
        return ", ".join(map(str, list(found)[:12])) or "nothing"
