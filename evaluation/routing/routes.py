"""What routers tell of the windows of a split, as arrays.

Axes: N windows, L blocks, E routed experts, M trajectories.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Routes:
    """Windows of one split of one corpus, as the routers of a model saw them.

    Attributes:
        corpus: its name.
        keys: "TRAJECTORY@START" of every window (N,).
        trajectories_N: number of each window's trajectory in its split.
        probabilities_NLE: softmax over all routed experts, sums to one over E.
        weights_NLE: weights in the mixture, zero where not chosen, sums to one over E.
    """

    corpus: str
    keys: tuple[str, ...]
    trajectories_N: NDArray[np.int64]
    probabilities_NLE: NDArray[np.float32]
    weights_NLE: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_trajectories(self) -> int:
        return len(np.unique(self.trajectories_N))


def over_trajectories(
    values_N: NDArray[Any], trajectories_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Means over the windows of each trajectory (N, ...) -> (M, ...).

    Trajectories are what is independent, so every statistic of a test is a mean over them.
    """
    _, number_N, counts_M = np.unique(trajectories_N, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts_M), *values_N.shape[1:]))
    np.add.at(sums, number_N, values_N)
    means: NDArray[np.float64] = sums / counts_M.reshape(-1, *(1,) * (values_N.ndim - 1))
    return means
