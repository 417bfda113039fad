"""NPY arrays inside other files: the header alone, or bounded data; never a pickle."""

import io
from dataclasses import dataclass
from math import prod
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from data_shards.errors import UserError

_MOST_HEADER = 1 << 14  # bytes; that of an array of numbers has 128


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
    start = io.BytesIO(file.read(_MOST_HEADER))  # the header announces its own length
    try:
        version = npy.read_magic(start)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version[0]}.{version[1]} of the format")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(start)
    except (ValueError, SyntaxError, TokenError) as error:  # of Python's own parser, too
        problem = " ".join(str(error).split())
        raise UserError(f"{where}: not a readable NPY array: {problem}") from error
    if dtype.kind not in "fiu":
        raise UserError(f"{where}: holds entries of type {dtype}, wanted real numbers")
    return NpyHeader(shape, dtype, start.tell())


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
