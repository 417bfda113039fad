"""A particle in a box: a random potential in, the ground state of the Schroedinger equation out.

    H = -lap / 2 + V on the unit interval or square, zero at the walls

Axes: one frame of two fields, the potential and the amplitudes, on N inner points a side at
i / (N + 1), i = 1 ... N; (1, N) in one dimension. Central differences, so that H is a sparse
symmetric matrix of the points; amplitudes have a sum of squares of 1. Units: those in which
mass, Planck's constant and the side are 1.
The potential is a sum of cosines of up to `waves` half periods a side with random weights,
shifted and scaled to the range [0, strength]; it has no parity.
"""

from collections.abc import Sequence
from functools import cache
from math import pi

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_matrix, diags_array, eye_array, kron

from data_shards.card import CorpusCard
from data_shards.generate.ground_state import EigensolverOptions, ground_state
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution

MEANINGLESS_DT_S = 1.0


class ParticleOptions(EigensolverOptions):
    """Range of the potentials."""

    strength: tuple[NonNegativeFloat, NonNegativeFloat] = (0.0, 100.0)
    waves: PositiveInt = 6


REFINED = Refinement(ParticleOptions, {"tolerance": 1e-2})


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One frame of two fields, potential and amplitudes (1, 2, H, W)."""
    options = ParticleOptions.read(card.generator_options, f"card {card.name}")
    grid = card.grid(resolution)
    strength = float(rng.uniform(*options.strength))
    potential = strength * random_potential(rng, grid, options.waves)
    found = ground_state(hamiltonian(potential), options.tolerance)
    fields = np.stack([potential, found.amplitudes.reshape(grid)])
    return Solution(fields[None], {"strength": strength, **found.figures}, dt_s=MEANINGLESS_DT_S)


def random_potential(rng: np.random.Generator, grid: Sequence[int], waves: int) -> Array:
    """Values (*grid) between 0 and 1, both of which are reached."""
    along = [_cosines(cells, waves) if cells > 1 else np.ones((1, 1)) for cells in grid]
    weights = rng.standard_normal(tuple(len(part) for part in along))
    values = along[0].T @ weights @ along[1]
    values -= values.min()
    return np.asarray(values / values.max())


def hamiltonian(potential: Array) -> csr_matrix:
    """H (S, S) of the points of a grid (H, W), row by row; an axis of one point has no walls."""
    rows, columns = (_kinetic(cells) for cells in potential.shape)
    kinetic = kron(rows, eye_array(columns.shape[0])) + kron(eye_array(rows.shape[0]), columns)
    return csr_matrix(kinetic + diags_array(potential.ravel()))


@cache
def _kinetic(cells: int) -> csr_matrix:
    """-1/2 of the second difference along one axis, zero beyond its ends."""
    if cells == 1:
        return csr_matrix((1, 1))
    spacing = 1 / (cells + 1)
    second = diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(cells, cells))
    return csr_matrix(-second / (2 * spacing**2))


def _cosines(cells: int, waves: int) -> Array:
    """cos(k pi x) at the inner points for k = 0 ... waves, (waves + 1, cells)."""
    x = np.arange(1, cells + 1) / (cells + 1)
    return np.asarray(np.cos(pi * np.arange(waves + 1)[:, None] * x))
