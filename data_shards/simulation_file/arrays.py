"""Arrays of a file by name, whatever the format: HDF5, netCDF, NPZ, NPY or MATLAB.

Out: sliceable arrays in the order of the file, with the names of their axes where the file gives
them. Axes are in the order in which the file's own tools show them: those of MATLAB files as in
MATLAB. An HDF5 file that keeps no order (h5py's do not, netCDF's do) gives names by the alphabet.
The format follows from the content of the file, not from its name.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal
from zipfile import BadZipFile, ZipFile, is_zipfile

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import netcdf_file

from data_shards.errors import UserError
from data_shards.formats.archive import MOST_MEMBERS
from data_shards.formats.hdf5 import (
    appearance,
    legible,
    open_hdf5,
    refuse_foreign,
    refuse_overgrown,
)
from data_shards.formats.matlab import open_matlab
from data_shards.simulation_file.packing import packing_of

Format = Literal["hdf5", "netcdf4", "netcdf3", "npz", "npy", "matlab5", "matlab73"]
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "hdf5": (".h5", ".hdf5"),
    "netcdf4": (".nc", ".nc4"),
    "netcdf3": (".nc",),
    "npz": (".npz",),
    "npy": (".npy",),
    "matlab5": (".mat",),
    "matlab73": (".mat",),
}
_KEPT = ("units", "long_name", "standard_name", "calendar", "axis")  # that a forecast keeps
_MATLAB_HEAD = 128
# A packed file may unpack to as much as this, or to so many times its own size.
_MOST_UNPACKED, _MOST_RATIO = 1 << 30, 100
# Numpy's reader of headers lets errors of Python's own parser through.
_NUMPY_FAULTS = (OSError, ValueError, EOFError, BadZipFile, LookupError, RuntimeError, SyntaxError,
                 TokenError, TypeError, ArithmeticError, zlib.error)  # fmt: skip


@dataclass(frozen=True)
class FileArray:
    """One array of a file.

    Attributes:
        name: in the file, with the groups it lies in.
        shape: of the whole array.
        dtype: as stored.
        take: reads a part; the key is as for a numpy array.
        axes: names of the axes where the file gives them, else empty.
        attributes: words about it that a forecast keeps.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    take: Callable[[Any], NDArray[Any]]
    axes: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether it holds real numbers, whole ones included."""
        return self.dtype.kind in "fiu"

    @property
    def is_date(self) -> bool:
        """Whether it holds dates, or times between them."""
        return self.dtype.kind in "mM"


@dataclass(frozen=True)
class FileArrays:
    """An opened file.

    Attributes:
        format: what it is.
        arrays: by name.
        words: what the file says of itself, lower case.
    """

    format: Format
    arrays: dict[str, FileArray]
    words: dict[str, str] = field(default_factory=dict)


@contextmanager
def open_arrays(path: Path) -> Iterator[FileArrays]:
    """Open a file; its arrays can be read until the block ends.

    Raises:
        UserError: there is none, it is of no known format, or damaged.
    """
    if not path.is_file():
        there = "a folder" if path.is_dir() else "no plain file"
        kind = there if path.exists() else "no such file"
        raise UserError(f"{path}: {kind}; give a .h5, .hdf5, .nc, .npz, .npy or .mat file")
    try:
        with _OPENERS[_format_of(path)](path) as found:
            yield found
    except MemoryError:
        raise UserError(f"{path}: larger than the memory of this machine; cut it first") from None
    except PermissionError:
        raise UserError(f"{path}: may not be read; fix its permissions") from None


def _format_of(path: Path) -> Format:
    with path.open("rb") as file:
        first = file.read(_MATLAB_HEAD)
    if first.startswith(b"CDF"):
        return "netcdf3"
    if first.startswith(b"\x93NUMPY"):
        return "npy"
    if is_zipfile(path):
        return "npz"
    matlab = first.startswith(b"MATLAB 5.0") or path.suffix.lower() == ".mat"
    if h5py.is_hdf5(path):
        if matlab or first.startswith(b"MATLAB 7.3"):
            return "matlab73"
        return "netcdf4" if path.suffix.lower() in SUFFIXES["netcdf4"] else "hdf5"
    if matlab:
        return "matlab5"
    raise UserError(
        f"{path}: neither HDF5, netCDF, NPZ, NPY nor MATLAB, or cut short ({appearance(path)})"
    )


@contextmanager
def _hdf5(path: Path) -> Iterator[FileArrays]:
    seen = count(1)
    with open_hdf5(path) as file:
        netcdf = path.suffix.lower() in SUFFIXES["netcdf4"]
        arrays: dict[str, FileArray] = {}

        def add(name: bytes) -> None:
            text = _decoded(name)
            refuse_overgrown(path, text, next(seen))
            node = file[name]
            if isinstance(node, h5py.Dataset):
                refuse_foreign(node, file)
                arrays[text] = _dataset(path, text, node, netcdf or "_NCProperties" in file.attrs)

        with legible(path):
            # Groups that keep no order of creation are visited by names.
            h5py.h5o.visit(file.id, add, idx_type=h5py.h5.INDEX_CRT_ORDER)
            words = _words(file.attrs)
        yield FileArrays("netcdf4" if netcdf else "hdf5", arrays, words)


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _dataset(path: Path, name: str, node: h5py.Dataset, netcdf: bool) -> FileArray:
    def take(key: Any) -> NDArray[Any]:
        with legible(path):
            return np.asarray(node[key])

    axes = _axis_names(node)
    shape = node.shape or ()  # a dataset may have no space at all
    array = FileArray(name, shape, node.dtype, take, axes, _kept(node.attrs))
    return _unpacked(array, node, netcdf)


def _unpacked(array: FileArray, node: Any, netcdf: bool) -> FileArray:
    """Numbers as they are meant, NaN where there is none; see `packing`."""
    packing = packing_of(array.dtype, lambda name: _attribute(node, name), netcdf)
    if packing is None:
        return array
    stored, values = array.take, packing.values
    return replace(array, dtype=packing.meant, take=lambda key: values(np.asarray(stored(key))))


def _attribute(node: Any, name: str) -> Any:
    if isinstance(node, h5py.Dataset):
        return node.attrs.get(name)
    return getattr(node, name, None)


def _axis_names(node: h5py.Dataset) -> tuple[str, ...]:
    """Of every axis its label, or the name of its scale, or nothing."""
    number = len(node.shape or ())
    return tuple(
        label or _scale_name(node, axis) for axis, label in enumerate(_labels(node, number))
    )


def _labels(node: h5py.Dataset, number: int) -> list[str]:
    """As `dims[axis].label` reads them, which frees what is not its own if they are damaged."""
    written: Any = node.attrs.get("DIMENSION_LABELS", [])
    texts = [each if isinstance(each, str) else "" for each in np.ravel(written).tolist()]
    return (texts + [""] * number)[:number]


def _scale_name(node: h5py.Dataset, axis: int) -> str:
    for scale in node.dims[axis].values():
        return str(scale.name).rpartition("/")[2]
    return ""


def _kept(attributes: Any) -> dict[str, str]:
    words = _words(attributes)
    return {name: words[name] for name in _KEPT if name in words}


def _words(attributes: Any) -> dict[str, str]:
    """Attributes that are texts."""
    found = {}
    for name in attributes:
        value = attributes[name]
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(text, str):
            found[str(name)] = text
    return found


@contextmanager
def _netcdf3(path: Path) -> Iterator[FileArrays]:
    try:
        # Without a map the arrays outlive the file, and closing it never complains.
        with netcdf_file(str(path), "r", mmap=False) as file:
            arrays = {name: _variable(name, node) for name, node in file.variables.items()}
            words = _words(file._attributes)
    except (
        OSError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AssertionError,
        EOFError,
        AttributeError,
    ) as error:
        raise _damaged(path, error) from None
    yield FileArrays("netcdf3", arrays, words)


def _variable(name: str, node: Any) -> FileArray:
    data = np.asarray(node.data)
    array = FileArray(
        name, data.shape, data.dtype, data.__getitem__, node.dimensions, _kept(node._attributes)
    )
    return _unpacked(array, node, netcdf=True)


@contextmanager
def _npz(path: Path) -> Iterator[FileArrays]:
    _refuse_bomb(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: _plain(name, _member(path, file, name)) for name in file.files}
    except _NUMPY_FAULTS as error:
        raise _damaged(path, error) from None
    yield FileArrays("npz", arrays)


def _refuse_bomb(path: Path) -> None:
    """Refuse what unpacks to far more than any measured field does."""
    try:
        with ZipFile(path) as packed:
            sizes = [entry.file_size for entry in packed.infolist()]
    except _NUMPY_FAULTS as error:
        raise _damaged(path, error) from None
    if len(sizes) > MOST_MEMBERS:
        raise UserError(f"{path}: holds {len(sizes)} arrays, wanted {MOST_MEMBERS} at most")
    size, unpacked = path.stat().st_size, sum(sizes)
    if unpacked > max(_MOST_UNPACKED, _MOST_RATIO * size):
        raise UserError(
            f"{path}: {size} bytes that unpack to {unpacked}: do not trust this file; if it is "
            "your own, save it with np.savez, unpacked"
        )


def _member(path: Path, file: Any, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        # What lies beside the fields does no harm; what is asked for is refused by its type.
        return np.empty(0, object)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is no array")
    return array


@contextmanager
def _npy(path: Path) -> Iterator[FileArrays]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _NUMPY_FAULTS as error:
        if "Python objects" in str(error) or "allow_pickle" in str(error):
            raise UserError(
                f"{path}: holds Python objects; save an array of floating-point numbers"
            ) from None
        raise _damaged(path, error) from None
    yield FileArrays("npy", {path.stem: _plain(path.stem, array)})


def _plain(name: str, array: NDArray[Any]) -> FileArray:
    return FileArray(name, array.shape, array.dtype, array.__getitem__)


@contextmanager
def _matlab(path: Path) -> Iterator[FileArrays]:
    file = open_matlab(path)
    try:
        arrays = {name: _as_in_matlab(name, file.variable(name)) for name in file.names()}
        yield FileArrays("matlab73" if h5py.is_hdf5(path) else "matlab5", arrays)
    finally:
        file.close()


def _as_in_matlab(name: str, node: Any) -> FileArray:
    """The reader gives reversed axes; a user names them in MATLAB's order."""

    def take(key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,) if key is not Ellipsis else ()
        whole = (*keys, *(slice(None),) * (node.ndim - len(keys)))[::-1]
        # FileArray of `read.matlab` wants slices first: numbers are taken out afterwards.
        slices = tuple(slice(k, k + 1) if isinstance(k, int) else k for k in whole)
        numbers = tuple(0 if isinstance(k, int) else slice(None) for k in whole)
        part: NDArray[Any] = np.asarray(node[slices])[numbers]
        return part.T

    return FileArray(name, tuple(node.shape[::-1]), np.dtype(node.dtype), take)


def _damaged(path: Path, error: Exception) -> UserError:
    fault = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{path}: damaged or cut short: {fault}; fetch or write it again")


_OPENERS: dict[Format, Any] = {
    "hdf5": _hdf5,
    "netcdf4": _hdf5,
    "netcdf3": _netcdf3,
    "npz": _npz,
    "npy": _npy,
    "matlab5": _matlab,
    "matlab73": _matlab,
}
