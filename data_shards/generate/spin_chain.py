"""Spin chains: a transverse field in, the ground state of the Ising model out.

    H = (-sum_i sz_i sz_(i+1) - B sum_i sx_i - h sum_i sz_i) / n

Axes: S = 2^n basis states, stored as one row. Pauli matrices (eigenvalues +-1), energies per site,
dimensionless. State number s has spin i down where bit n - 1 - i of s is set, so state 0 is all up:
the order of Kronecker products from site 0 on. The field flips single spins; neither the number of
up spins nor that of domain walls is conserved. The small longitudinal field h keeps the two lowest
states apart at small B, where their gap would be of order B^n.
Source: CoPhy-PGNN (arXiv:2007.01420), whose 10,000 test problems of n = 4 are these to round-off
(tests/golden); further sizes and the open chain are ours.
"""

from functools import cache

import numpy as np
from pydantic import Field, NonNegativeFloat
from scipy.sparse import csr_matrix, diags_array, eye_array, kron

from data_shards.card import CorpusCard
from data_shards.generate.ground_state import EigensolverOptions, ground_state
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Solution

MEANINGLESS_DT_S = 1.0
UP_DOWN = diags_array([1.0, -1.0])  # sz of one spin
FLIP = csr_matrix(np.array([[0.0, 1.0], [1.0, 0.0]]))  # sx of one spin


class SpinChainOptions(EigensolverOptions):
    """Size of the chain and range of its field."""

    sites: int = Field(ge=3, le=14)
    periodic: bool = True
    longitudinal: NonNegativeFloat = 0.01  # h
    field: tuple[NonNegativeFloat, NonNegativeFloat] = (0.01, 0.5)  # B


REFINED = Refinement(SpinChainOptions, {"tolerance": 1e-2})


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One frame of one field, the amplitudes (1, 1, 1, 2^n)."""
    options = SpinChainOptions.read(card.generator_options, f"card {card.name}")
    field = float(rng.uniform(*options.field))
    matrix = hamiltonian(options.sites, field, options.longitudinal, periodic=options.periodic)
    found = ground_state(matrix, options.tolerance)
    fields = found.amplitudes.reshape(1, 1, 1, -1)
    fixed = {"longitudinal": options.longitudinal}
    return Solution(fields, {"field": field, **fixed, **found.figures}, dt_s=MEANINGLESS_DT_S)


def hamiltonian(
    sites: int, field: float, longitudinal: float = 0.01, *, periodic: bool = True
) -> csr_matrix:
    """H (2^n, 2^n) of a chain, from Kronecker products of Pauli matrices."""
    bonds, fields, flips = _parts(sites, periodic)
    return csr_matrix(-(bonds + field * flips + longitudinal * fields) / sites)


@cache
def _parts(sites: int, periodic: bool) -> tuple[csr_matrix, csr_matrix, csr_matrix]:
    """Sums of sz sz over bonds, of sz and of sx over sites."""
    up_down = [_at(UP_DOWN, site, sites) for site in range(sites)]
    last = sites if periodic else sites - 1
    bonds = sum(up_down[i] @ up_down[(i + 1) % sites] for i in range(last))
    flips = sum(_at(FLIP, site, sites) for site in range(sites))
    return csr_matrix(bonds), csr_matrix(sum(up_down)), csr_matrix(flips)


def _at(matrix: csr_matrix, site: int, sites: int) -> csr_matrix:
    """A matrix (2, 2) of one site as that of the chain."""
    left, right = eye_array(2**site), eye_array(2 ** (sites - site - 1))
    return csr_matrix(kron(kron(left, matrix), right))
