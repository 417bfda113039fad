"""NPY arrays inside other files: the header alone, or bounded data; never a pickle."""

import io
import struct
import warnings
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from data_shards.errors import UserError

MOST_HEADER = 1 << 14  # bytes; that of an array of numbers has 128
# How a header announces its length, by the version of the format.
_LENGTHS = {b"\x93NUMPY\x01\x00": "<H", b"\x93NUMPY\x02\x00": "<I"}


@dataclass(frozen=True)
class NpyHeader:
    """What an NPY file announces.

    Attributes:
        shape: of the array.
        dtype: of its entries, a real number's.
        offset: bytes of the header.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.offset + prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes], where: str) -> NpyHeader:
    """The header of an NPY file.

    Args:
        file: at its beginning.
        where: what is being read, for the message.

    Raises:
        UserError: no NPY file, or one that does not hold real numbers (objects are pickles).
    """
    try:
        dtype, shape, _, length = parse_header(file.read(MOST_HEADER))
    except ValueError as error:
        raise UserError(f"{where}: not a readable NPY array: {error}") from error
    if dtype.kind not in "fiu":
        raise UserError(f"{where}: holds entries of type {dtype}, wanted real numbers")
    return NpyHeader(shape, dtype, length)


def parse_header(begin: bytes) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Type, shape, whether it is in Fortran's order, and bytes of a header.

    Args:
        begin: of an NPY file, `MOST_HEADER` bytes of it or all.

    Raises:
        ValueError: it is none of version 1 or 2, is longer, or is not understood, in one line.
    """
    form = _LENGTHS.get(begin[:8])
    if form is None:
        raise ValueError(f"begins with {begin[:8]!r}, no header of version 1 or 2")
    first = 8 + struct.calcsize(form)
    if len(begin) < first:
        raise ValueError("cut short")
    end = first + struct.unpack(form, begin[8:first])[0]
    if end > len(begin):
        raise ValueError(f"a header of {end} bytes")
    dtype, shape, fortran = _parsed(begin[:end])
    return dtype, shape, fortran, end


@lru_cache(maxsize=256)
def _parsed(head: bytes) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """As numpy reads a whole header; those of a corpus are alike, and are read once."""
    file = io.BytesIO(head)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 2's way to write headers
            shape, fortran, dtype = read[npy.read_magic(file)](file)
    except Exception as error:  # it evaluates a literal: of syntax, types, depth, sizes
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from None
    if any(length < 0 for length in shape):
        raise ValueError(f"a shape of {shape}")
    return dtype, shape, fortran


def read_array(file: IO[bytes], header: NpyHeader, where: str) -> NDArray[Any]:
    """The array of an NPY file whose header has been found small enough.

    Args:
        file: at its beginning.
        header: as `read_header` found it.
        where: what is being read, for the message.

    Raises:
        UserError: the data are cut off or other than the header says.
    """
    try:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    except ValueError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{where}: not a readable NPY array: {problem}") from error
    if array.shape != header.shape or array.dtype != header.dtype:
        raise UserError(f"{where}: changed while it was read")
    return array
