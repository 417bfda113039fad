"""Spin chains without a matrix: amplitudes of basis states in, H c, order and symmetries out.

    H = (-sum_i sz_i sz_(i+1) - B sum_i sx_i - h sum_i sz_i) / n

Axes: B samples, S = 2^n basis states, N sites, P representatives of states.
State number s has spin i down where bit n - 1 - i of s is set. Energies per site. The same
Hamiltonian as `data_shards.generate.spin_chain` makes of Kronecker products, to round-off.
Symmetries are translations and the mirror of a periodic chain, the mirror of an open one; h
breaks the flip of all spins.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class SpinChain:
    """A chain whose field is still to be said.

    Attributes:
        sites: n.
        periodic: whether the last site is a neighbour of the first.
        longitudinal: h.
    """

    sites: int
    periodic: bool = True
    longitudinal: float = 0.01

    @property
    def states(self) -> int:
        return 1 << self.sites

    def apply(self, c_BS: Tensor, field_B: Tensor) -> Tensor:
        """H c (B, S), every spin flipped in turn."""
        flipped = torch.zeros_like(c_BS)
        for site in range(self.sites):
            halves = c_BS.view(len(c_BS), 2**site, 2, -1)
            flipped += halves.flip(2).flatten(1)
        bonds_S = torch.as_tensor(self.bonds_S, dtype=c_BS.dtype, device=c_BS.device)
        up_S = torch.as_tensor(self.magnetisation_S, dtype=c_BS.dtype, device=c_BS.device)
        diagonal_S = -bonds_S - self.longitudinal * up_S / self.sites
        return diagonal_S * c_BS - field_B[:, None].to(c_BS) * flipped / self.sites

    @cached_property
    def spins_SN(self) -> Integers:
        """+1 of an up spin, -1 of a down one."""
        return _spins(self.sites)

    @cached_property
    def magnetisation_S(self) -> Integers:
        """Sum of sz of every basis state."""
        return np.asarray(self.spins_SN.sum(1))

    @cached_property
    def bonds_S(self) -> NDArray[np.float64]:
        """Sum of sz sz over bonds, per site."""
        return self.correlation(1) / self.sites

    def correlation(self, distance: int) -> Integers:
        """Sum over pairs of sites so far apart of sz sz, (S,)."""
        spins = self.spins_SN
        if self.periodic:
            return np.asarray((spins * np.roll(spins, -distance, axis=1)).sum(1))
        return np.asarray((spins[:, :-distance] * spins[:, distance:]).sum(1))

    @cached_property
    def domain_walls_S(self) -> Integers:
        """Bonds between unlike spins."""
        bonds = self.sites if self.periodic else self.sites - 1
        return (bonds - self.correlation(1)) // 2

    @cached_property
    def classes_S(self) -> Integers:
        """Number of the symmetry class of every basis state, from 0 on; its amplitudes are equal.

        Of a periodic chain these are binary bracelets, 6, 30, 78, 224 for n = 4, 8, 10, 12.
        """
        powers = 2 ** np.arange(self.sites)[::-1]
        down = (1 - self.spins_SN) // 2
        smallest = np.full(self.states, self.states)
        for turn in range(self.sites if self.periodic else 1):
            turned = np.roll(down, turn, axis=1)
            for image in (turned, turned[:, ::-1]):
                smallest = np.minimum(smallest, image @ powers)
        return np.unique(smallest, return_inverse=True)[1]

    @property
    def num_classes(self) -> int:
        return int(self.classes_S.max()) + 1


@cache
def _spins(sites: int) -> Integers:
    numbers = np.arange(2**sites)[:, None]
    bits = (numbers >> np.arange(sites)[::-1]) & 1
    return np.asarray(1 - 2 * bits, np.int64)


def mean_of(values_S: NDArray[np.floating] | Integers, c_BS: Tensor) -> Tensor:
    """Mean over a state of what is diagonal in the basis: `sum v c^2 / sum c^2` (B,)."""
    values = torch.as_tensor(values_S, dtype=c_BS.dtype, device=c_BS.device)
    probability_BS = c_BS.square()
    return probability_BS @ values / probability_BS.sum(1)
