"""Channel statistics: trajectories in one by one, mean, spread and extremes out.

Accumulated in float64 over fluid cells by merging moments (Chan, Golub and
LeVeque 1979), so that a corpus never has to fit in memory and the mean of a
large offset does not eat the variance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_shards.card import ChannelStatistics


class StatisticsAccumulator:
    """Running moments per channel."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        channels = len(self._names)
        self._count = 0
        self._mean: NDArray[np.float64] = np.zeros(channels)
        self._squares: NDArray[np.float64] = np.zeros(channels)
        self._min: NDArray[np.float64] = np.full(channels, np.inf)
        self._max: NDArray[np.float64] = np.full(channels, -np.inf)

    def add(self, fields: NDArray[np.floating], mask: NDArray[np.floating]) -> None:
        """Merge one trajectory, fields (T, C, *grid) and mask (*grid); solid cells do not count."""
        values = fields.astype(np.float64)
        if not mask.all():
            values = values[..., mask > 0.5]  # (T, C, cells)
        values = np.moveaxis(values, 1, 0).reshape(len(self._names), -1)
        added = values.shape[1]
        if added == 0:
            return
        mean = values.mean(axis=1)
        total = self._count + added
        shift = mean - self._mean
        self._squares += ((values - mean[:, None]) ** 2).sum(axis=1)
        self._squares += shift**2 * (self._count * added / total)
        self._mean += shift * (added / total)
        self._count = total
        self._min = np.minimum(self._min, values.min(axis=1))
        self._max = np.maximum(self._max, values.max(axis=1))

    def result(self) -> tuple[ChannelStatistics, ...]:
        """Statistics of everything added so far.

        Raises:
            ValueError: no fluid cell has been added.
        """
        if self._count == 0:
            raise ValueError("channel statistics of no cells are undefined")
        std = np.sqrt(self._squares / self._count)
        columns = zip(self._names, self._mean, std, self._min, self._max, strict=True)
        return tuple(
            ChannelStatistics(
                name=name, mean=float(mean), std=float(s), min=float(low), max=float(high)
            )
            for name, mean, s, low, high in columns
        )
