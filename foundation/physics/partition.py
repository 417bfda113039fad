"""Partitions of basis states by a diagonal quantity, and features that keep a system's symmetries.

Axes: S basis states, P rows of features, F features, E parts, B samples.
States whose features and part agree share a row, so that what is computed by rows has equal
amplitudes there to the last bit. A part is no sector of a symmetry: the transverse field conserves
neither the number of up spins nor that of domain walls, and a random potential has no parity.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from foundation.physics.spin_chain import Integers, SpinChain

Quantity = Literal["hamming_weight", "domain_walls", "none"]


@dataclass(frozen=True)
class Partition:
    """Rows, part by part.

    Attributes:
        sizes: number of rows of each part (E).
        features_PF: of the rows, float32, part by part; None where they depend on the sample.
        row_S: the row of every basis state.
        count_P: how many states share a row.
    """

    sizes: tuple[int, ...]
    features_PF: Tensor | None
    row_S: Tensor
    count_P: Tensor


@cache
def partition_of_chain(chain: SpinChain, quantity: Quantity, distances: int) -> Partition:
    """Basis states of a chain by features that translations and the mirror leave alone.

    Args:
        chain: periodic or open.
        quantity: which parts there are; `none` is one part.
        distances: correlations of spins up to so many sites apart are features, besides the
            magnetisation; of an open chain also both ends.
    """
    columns = [chain.magnetisation_S, *(chain.correlation(d + 1) for d in range(distances))]
    if not chain.periodic:
        spins = chain.spins_SN
        ends = spins[:, 0] + spins[:, -1]
        end_bonds = spins[:, 0] * spins[:, 1] + spins[:, -1] * spins[:, -2]
        columns += [ends, end_bonds]
    keys = np.stack([_part_of(chain, quantity), *columns], axis=1)
    rows, row_S, count_P = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    parts = np.unique(rows[:, 0], return_counts=True)[1]
    features = rows[:, 1:] / chain.sites
    return Partition(
        sizes=tuple(parts.tolist()),
        features_PF=torch.from_numpy(features.astype(np.float32)),
        row_S=torch.from_numpy(row_S.reshape(-1)),
        count_P=torch.from_numpy(count_P.astype(np.float32)),
    )


@cache
def partition_of_box(grid: tuple[int, ...], regions: int) -> Partition:
    """Points of a grid by where they lie: equal tiles, so many along each axis of more points."""
    along = [np.arange(cells) * min(regions, cells) // cells for cells in grid]
    part_S = (along[0][:, None] * regions + along[1]).ravel()
    order = np.argsort(part_S, kind="stable")
    row_S = np.empty_like(order)
    row_S[order] = np.arange(order.size)
    return Partition(
        sizes=tuple(np.unique(part_S, return_counts=True)[1].tolist()),
        features_PF=None,
        row_S=torch.from_numpy(row_S),
        count_P=torch.from_numpy(np.ones(order.size, np.float32)),
    )


def _part_of(chain: SpinChain, quantity: Quantity) -> Integers:
    if quantity == "hamming_weight":
        return chain.magnetisation_S
    if quantity == "domain_walls":
        return chain.domain_walls_S
    return np.zeros(chain.states, np.int64)
