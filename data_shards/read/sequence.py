"""Many HDF5 files as one list of samples; one file is open at a time."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import h5py

from data_shards.errors import UserError
from data_shards.formats.hdf5 import open_hdf5

# What damaged names, types, shapes and attributes come out as, between HDF5 and numpy.
_SYMPTOMS = (OSError, RuntimeError, ValueError, TypeError, LookupError)


class FileSequence:
    """Samples of all files in the order of the files; read best in this order."""

    def __init__(self, paths: Sequence[Path], count: Callable[[h5py.File, Path], int]) -> None:
        """Open every file once, to check and count.

        Args:
            paths: the files.
            count: samples of a file; raises a `UserError` where the file is not as wanted.

        Raises:
            UserError: a file is damaged or not as wanted.
        """
        self.paths = tuple(paths)
        self._open: tuple[int, h5py.File] | None = None
        counts = []
        for path in self.paths:
            with open_hdf5(path) as file, understood(path):
                counts.append(count(file, path))
        self._stops = tuple(accumulate(counts))

    def __len__(self) -> int:
        return self._stops[-1] if self._stops else 0

    def place(self, number: int) -> tuple[h5py.File, Path, int]:
        """The open file of a sample, its path, and the sample's number in it.

        Raises:
            IndexError: no such sample.
            UserError: the file can no longer be read.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        position = bisect_right(self._stops, number)
        before = self._stops[position - 1] if position else 0
        return self._file(position), self.paths[position], number - before

    def close(self) -> None:
        """Release the open file."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _file(self, position: int) -> h5py.File:
        if self._open is None or self._open[0] != position:
            self.close()
            self._open = position, open_hdf5(self.paths[position])
        return self._open[1]


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Report a file whose description of itself makes no sense as damaged.

    Wider than `hdf5.legible`: for code that follows what a file says of its arrays.

    Raises:
        UserError: in place of the errors that such a file causes.
    """
    try:
        yield
    except _SYMPTOMS as error:
        fault = " ".join(str(error).split()) or "no reason given"
        kind = type(error).__name__
        raise UserError(f"{path}: damaged: {fault} ({kind}); fetch it again") from error
