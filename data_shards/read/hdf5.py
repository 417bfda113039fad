"""HDF5 files of strangers: every fault becomes one line that names file and fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from data_shards.errors import UserError


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        UserError: it is not HDF5, truncated, or cannot be read at all.
    """
    if path.is_file() and not h5py.is_hdf5(path):
        raise UserError(f"{path}: not an HDF5 file ({appearance(path)})")
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


def find_dataset(group: h5py.Group, name: str, axes: tuple[str, ...]) -> h5py.Dataset:
    """A dataset by name, of the expected rank and of floating-point numbers.

    Args:
        group: the file or a group in it.
        name: path below the group.
        axes: names of the expected axes, for the message.

    Raises:
        UserError: there is none of this name, or it is of another rank or type.
    """
    path = Path(group.file.filename)
    with legible(path):
        found: Any = group.get(name)
        known = ", ".join(map(str, list(group)[:12])) or "nothing"
        dtype = found.dtype if isinstance(found, h5py.Dataset) else None
    where = f"{path}: {group.name.rstrip('/')}/{name}"
    if dtype is None:
        raise UserError(f"{where}: no such dataset; there is {known}")
    if found.ndim != len(axes) or dtype.kind != "f":
        raise UserError(
            f"{where}: {dtype} {found.shape}; wanted floating-point numbers over "
            f"({', '.join(axes)})"
        )
    return found
