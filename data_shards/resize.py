"""Bilinear resizing, straight from a shard's pages into a batch.

Axes: T frames, C channels, H rows, W columns of the source; R rows, Q columns of
the result. Cells keep their extent (align_corners False), values
beyond the outermost centres are those at the edge, as in
`torch.nn.functional.interpolate`, with which the result agrees to round-off.
About half of its time on one core: neither the source nor the result is copied.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data_shards.kernel import kernel

Array = NDArray[np.float32]
Places = NDArray[np.int32]


def resize_into(out: Array, frames: Array) -> None:
    """Resize planes to the grid of an existing array.

    Args:
        out: (T, C, R, Q) float32, overwritten; may be a strided view.
        frames: (T, C, H, W) float32, may be read-only.
    """
    rows = _places(frames.shape[-2], out.shape[-2])
    columns = _places(frames.shape[-1], out.shape[-1])
    _resize(out, frames, *rows, *columns)


@lru_cache(maxsize=64)
def _places(source: int, result: int) -> tuple[Places, Places, Array]:
    """For each cell of the result: the source cells around its centre, and the second's weight."""
    centre = np.maximum((np.arange(result) + 0.5) * (source / result) - 0.5, 0.0)
    low = np.minimum(centre.astype(np.int32), source - 1)
    high = np.minimum(low + 1, source - 1).astype(np.int32)
    return low, high, (centre - low).astype(np.float32)


@kernel
def _resize(
    out: Array,
    frames: Array,
    row_low: Places,
    row_high: Places,
    row_weight: Array,
    column_low: Places,
    column_high: Places,
    column_weight: Array,
) -> None:
    line = np.empty(frames.shape[3], np.float32)
    for t in range(out.shape[0]):
        for c in range(out.shape[1]):
            for r in range(out.shape[2]):
                below, above, up = row_low[r], row_high[r], row_weight[r]
                for j in range(line.size):
                    low = frames[t, c, below, j]
                    line[j] = low + up * (frames[t, c, above, j] - low)
                for i in range(out.shape[3]):
                    left = line[column_low[i]]
                    out[t, c, r, i] = left + column_weight[i] * (line[column_high[i]] - left)
