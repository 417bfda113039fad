"""Laws of the particle in a box, judged by closed forms."""

from math import pi

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.generate import simulate
from data_shards.generate.ground_state import ground_state
from data_shards.generate.particle import hamiltonian, random_potential


@pytest.mark.parametrize("grid", [(1, 31), (15, 31)])
def test_an_empty_box_holds_half_a_wave_of_the_differences_own_energy(grid):
    found = ground_state(hamiltonian(np.zeros(grid)))
    energy = sum((cells + 1) ** 2 * (1 - np.cos(pi / (cells + 1))) for cells in grid if cells > 1)
    assert found.energy == pytest.approx(energy, rel=1e-12)
    x, y = ((np.arange(cells) + 1) / (cells + 1) for cells in grid[::-1])
    wave = np.sin(pi * x) * (np.sin(pi * y)[:, None] if grid[0] > 1 else 1)
    assert abs(found.amplitudes @ wave.ravel()) == pytest.approx(np.linalg.norm(wave), rel=1e-12)


def test_an_oscillator_has_half_its_frequency_with_an_error_of_second_order():
    frequency, errors = 60.0, []
    for cells in (31, 63):
        x = (np.arange(cells) + 1) / (cells + 1) - 0.5
        found = ground_state(hamiltonian((frequency * x)[None] ** 2 / 2))
        errors.append(found.energy - frequency / 2)
        assert found.gap == pytest.approx(frequency, rel=0.1)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_the_matrix_is_symmetric_and_a_constant_potential_lifts_the_energy_alone(rng):
    potential = 40 * random_potential(rng, (5, 7), 3)
    matrix = hamiltonian(potential).toarray()
    assert np.array_equal(matrix, matrix.T)
    one, lifted = ground_state(hamiltonian(potential)), ground_state(hamiltonian(potential + 9))
    assert lifted.energy - one.energy == pytest.approx(9)
    np.testing.assert_allclose(lifted.amplitudes, one.amplitudes, atol=1e-12)


def test_potentials_fill_their_range_and_have_no_parity(rng):
    for grid in ((1, 63), (23, 23)):
        values = random_potential(rng, grid, 6)
        assert (values.min(), values.max()) == (0, 1)
        assert np.abs(values - values[:, ::-1]).max() > 0.1


def test_a_plane_of_one_corpus_is_a_state_of_its_own_potential():
    card = load_card("particle_2d")
    state = simulate(card, split="test", index=0, seed=0, resolution=23)
    potential, amplitude = state.fields[0].astype(np.float64)
    c, energy = amplitude.ravel(), state.parameters["energy"]
    left = hamiltonian(potential) @ c - energy * c
    assert np.linalg.norm(left) < 1e-3  # float32 times the largest energy of the grid, 1e3
    assert potential.max() == pytest.approx(state.parameters["strength"])
