"""Samples out of one large array, a bounded block at a time.

Where the sample axis is the last one, as MATLAB writes it, a single sample is
scattered over the whole file; a block of samples costs hardly more to read.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 192 << 20


class SampleBlocks:
    """Single samples of an array that is too large for memory, best read in order."""

    def __init__(
        self, array: Any, axis: int, numbers: range, block_bytes: int | None = None
    ) -> None:
        """Prepare to read; nothing is read yet.

        Args:
            array: an h5py dataset, or what is sliced like one.
            axis: the axis of the samples.
            numbers: the samples that will be asked for; no block reaches beyond them.
            block_bytes: bound on a block in memory; None means `BLOCK_BYTES`.
        """
        self._array = array
        self._axis = axis % len(array.shape)
        self._numbers = numbers
        self._step = self._samples_per_block(block_bytes or BLOCK_BYTES)
        self._first = 0
        self._block = self._nothing()

    def sample(self, number: int) -> NDArray[Any]:
        """One sample, all axes but that of the samples; a copy."""
        if not self._first <= number < self._first + self._block.shape[self._axis]:
            self._read(number)
        taken: NDArray[Any] = self._block.take(number - self._first, self._axis)
        return taken

    def _samples_per_block(self, block_bytes: int) -> int:
        others = (n for axis, n in enumerate(self._array.shape) if axis != self._axis)
        sample_bytes = int(self._array.dtype.itemsize) * prod(others)
        most: int = max(1, block_bytes // max(1, sample_bytes))
        if self._axis > 0:
            return most
        # Whole samples lie one after the other; but every chunk should be unpacked only once.
        return min(most, self._chunk())

    def _chunk(self) -> int:
        """Samples per chunk of an HDF5 dataset, 1 where there are no chunks."""
        chunks: tuple[int, ...] | None = getattr(self._array, "chunks", None)
        return chunks[self._axis] if chunks else 1

    def _read(self, number: int) -> None:
        chunk = self._chunk()
        aligned = number - number % chunk if chunk <= self._step else number
        first = max(self._numbers.start, aligned)
        stop = min(self._numbers.stop, aligned + self._step)
        key = [slice(None)] * len(self._array.shape)
        key[self._axis] = slice(first, stop)
        self._block = self._nothing()  # the old block goes before the new one comes
        self._block = np.asarray(self._array[tuple(key)])
        self._first = first

    def _nothing(self) -> NDArray[Any]:
        """A block of no samples."""
        return np.empty([0] * len(self._array.shape))
