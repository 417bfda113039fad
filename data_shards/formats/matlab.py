"""MATLAB files, both kinds, as arrays that are sliced without loading them.

In: a `.mat` file of version 7.3 (HDF5 behind 512 bytes of MATLAB's own) or of
version 5 to 7.2. Out: numeric arrays with reversed axes: MATLAB's (N, X, Y, T)
comes as (T, Y, X, N), since MATLAB writes the first axis fastest. That is how
HDF5 shows version 7.3; version 5 is mapped the same way.

`scipy.io.loadmat` always loads a whole variable (scipy pull request 519), so
version 5 is parsed here: a numeric array lies in the file in one piece; a
compressed one is unpacked, bit by bit, into a nameless temporary file of its
full size first. Slices are taken plane by plane, so memory stays bounded either
way. Numbers have the type of the array's class, not the smaller one in which MATLAB
may have stored them: it keeps doubles that are whole as bytes.
Source: MathWorks, "MAT-File Format" (level 5 MAT-files).
"""

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from math import prod
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from data_shards.errors import UserError
from data_shards.formats.hdf5 import appearance, legible, open_hdf5, refuse_foreign

HEADER_BYTES = 128
LEVEL_5 = 0x0100
MATRIX, COMPRESSED = 14, 15
PIECE_BYTES = 1 << 20
LARGEST_BYTES = 1 << 32  # of an element: its size has 32 bits
Shape = tuple[int, ...]
CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip


class FileArray:
    """An array in a file; only what is asked for is read, a plane of the first axis at a time."""

    def __init__(
        self,
        file: IO[bytes],
        dtype: np.dtype[Any],
        offset: int,
        shape: Shape,
        stored: np.dtype[Any],
    ) -> None:
        """Say where it lies: `offset` bytes into an open file, last axis fastest.

        Args:
            file: stays open.
            dtype: of the numbers.
            offset: bytes before the first one.
            shape: of the array.
            stored: type of the numbers as the file has them.
        """
        self._file, self._offset, self._stored = file, offset, stored
        self.dtype, self.shape, self.ndim = dtype, shape, len(shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """A copy of a part; the key is `...`, or begins with a slice."""
        if key is Ellipsis:
            key = (slice(None),)
        planes = range(self.shape[0])[key[0]]
        parts = (self._plane(plane, key[1:]) for plane in planes)
        first = next(parts)
        result = np.empty((len(planes), *first.shape), self.dtype)
        for row, part in enumerate(chain([first], parts)):
            result[row] = part
        return result

    def _plane(self, plane: int, key: Any) -> NDArray[Any]:
        """A copy of a part of one plane; what was mapped for it leaves memory at once."""
        size = prod(self.shape[1:]) * self._stored.itemsize
        offset = self._offset + plane * size
        stored = np.memmap(self._file, self._stored, "r", offset, self.shape[1:] or (1,))
        with np.errstate(invalid="ignore"):  # NaN of a damaged file, said to be whole
            return np.array(stored[key], self.dtype)


class MatlabFile:
    """Numeric variables of a MATLAB file, by name."""

    def __init__(self, path: Path) -> None:
        """Open a file; see `open_matlab`."""
        self._path = path
        self._files = ExitStack()
        self._hdf5: Any = None
        self._arrays: dict[str, FileArray] = {}
        try:
            if h5py.is_hdf5(path):
                self._hdf5 = self._files.enter_context(open_hdf5(path))
            else:
                self._arrays = self._level_5()
        except UserError:
            self.close()
            raise

    def names(self) -> list[str]:
        """Names of the numeric variables; in order where the file keeps one (not version 7.3)."""
        if self._hdf5 is None:
            return list(self._arrays)
        with legible(self._path):
            return sorted(
                name for name in self._hdf5 if isinstance(self._hdf5.get(name), h5py.Dataset)
            )

    def variable(self, name: str) -> Any:
        """An array to be sliced, axes reversed: an HDF5 dataset or a `FileArray`.

        Raises:
            UserError: there is none of this name.
        """
        names = self.names()
        if name not in names:
            known = ", ".join(names) or "nothing"
            raise UserError(f"{self._path}: no array {name!r}; there is {known}")
        if self._hdf5 is None:
            return self._arrays[name]
        with legible(self._path):
            dataset = self._hdf5[name]
            _ = dataset.dtype  # fails on a damaged type
        refuse_foreign(dataset, self._hdf5)
        return dataset

    def close(self) -> None:
        """Release the file."""
        self._arrays = {}
        self._files.close()

    def _level_5(self) -> dict[str, FileArray]:
        file = self._files.enter_context(self._path.open("rb"))
        header = file.read(HEADER_BYTES)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
        if order is None or _integer(header[124:126], order) != LEVEL_5:
            raise UserError(
                f"{self._path}: no MATLAB file of version 5 or later ({appearance(self._path)})"
            )
        arrays = {}
        for kind, start, size in _elements(file, HEADER_BYTES, None, order, self._path):
            if kind == COMPRESSED:
                plain = self._unpacked(file, start, size)
                for element in _elements(plain, 0, None, order, self._path):
                    arrays.update(_matrix(plain, *element, order, self._path))
            else:
                arrays.update(_matrix(file, kind, start, size, order, self._path))
        return arrays

    def _unpacked(self, file: IO[bytes], start: int, size: int) -> IO[bytes]:
        """A compressed element, in a temporary file that vanishes with its last user."""
        plain = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        unpack = zlib.decompressobj()
        file.seek(start)
        try:
            while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
                size -= len(piece)
                while piece:
                    plain.write(unpack.decompress(piece, PIECE_BYTES))
                    piece = unpack.unconsumed_tail
                    if plain.tell() > LARGEST_BYTES:
                        raise _cut_short(self._path, "compressed data do not end")
            plain.write(unpack.flush())
            plain.flush()
        except zlib.error as error:
            raise _cut_short(self._path, f"compressed data are wrong ({error})") from None
        except OSError as error:
            raise UserError(
                f"{self._path}: cannot be unpacked in {tempfile.gettempdir()} ({error}); set "
                "TMPDIR to a folder with room"
            ) from None
        if not unpack.eof:
            raise _cut_short(self._path, "compressed data end early")
        return plain


def open_matlab(path: Path) -> MatlabFile:
    """Open a MATLAB file of either kind.

    Raises:
        UserError: it is no such file, or cut short.
    """
    return MatlabFile(path)


def _elements(
    file: IO[bytes], start: int, end: int | None, order: str, path: Path
) -> Iterator[tuple[int, int, int]]:
    """Type, first byte and size of every element in a range of a file."""
    end = file.seek(0, 2) if end is None else end
    while start < end:
        file.seek(start)
        tag = file.read(8)
        if len(tag) < 8:
            raise _cut_short(path, f"ends within a tag at byte {start}")
        kind, size = (_integer(word, order) for word in (tag[:4], tag[4:]))
        if kind >> 16:  # a small element keeps its size and its data in the tag
            yield kind & 0xFFFF, start + 4, kind >> 16
            start += 8
            continue
        if start + 8 + size > end:
            raise _cut_short(path, f"an element of {size} bytes at byte {start} leaves its bounds")
        yield kind, start + 8, size
        start += 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)


def _matrix(
    file: IO[bytes], kind: int, start: int, size: int, order: str, path: Path
) -> dict[str, FileArray]:
    """The array in an element, under its name; nothing if it is not a numeric one."""
    if kind != MATRIX:
        return {}
    parts = list(_elements(file, start, start + size, order, path))
    if len(parts) != 4 or parts[3][0] not in NUMBERS:  # flags, lengths, name, numbers
        return {}
    lengths = np.frombuffer(_bytes(file, parts[1])[: parts[1][2] // 4 * 4], f"{order}i4").tolist()
    name = _bytes(file, parts[2]).decode("latin-1")
    number, first, num_bytes = parts[3]
    stored = np.dtype(order + NUMBERS[number])
    shape = tuple(reversed(lengths))
    if np.prod(shape, dtype=np.int64) * stored.itemsize != num_bytes:
        raise _cut_short(path, f"array {name!r} {shape} of {stored} has {num_bytes} bytes")
    if num_bytes == 0:
        return {}
    meant = CLASSES.get(_integer(_bytes(file, parts[0])[:4], order) & 0xFF)
    if meant is None:  # texts, sparse matrices
        return {}
    return {name: FileArray(file, np.dtype(meant), first, shape, stored)}


def _bytes(file: IO[bytes], part: tuple[int, int, int]) -> bytes:
    file.seek(part[1])
    return file.read(part[2])


def _integer(word: bytes, order: str) -> int:
    return int.from_bytes(word, "little" if order == "<" else "big")


def _cut_short(path: Path, fault: str) -> UserError:
    return UserError(f"{path}: damaged or cut short: {fault}; fetch it again")
