"""Laws of the chains' ground states, judged by closed forms and classical limits."""

from math import cos, pi

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.generate import simulate
from data_shards.generate.ground_state import ground_state
from data_shards.generate.spin_chain import hamiltonian

FIELDS = (0.05, 0.5, 1.0, 1.7)


def spins(sites):
    numbers = np.arange(2**sites)[:, None]
    return 1 - 2 * ((numbers >> np.arange(sites)[::-1]) & 1)


def periodic_energy(sites, field):
    """Per site, of an even chain: free fermions with antiperiodic momenta (Pfeuty 1970)."""
    momenta = [(2 * j + 1) * pi / sites for j in range(sites)]
    return -sum((1 + field**2 + 2 * field * cos(k)) ** 0.5 for k in momenta) / sites


def open_energy(sites, field):
    """Per site: singular values of the bidiagonal matrix of free fermions."""
    matrix = field * np.eye(sites) + np.eye(sites, k=1)
    return -np.linalg.svd(matrix, compute_uv=False).sum() / sites


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("sites", [4, 6, 8, 10])
@pytest.mark.parametrize(("periodic", "exact"), [(True, periodic_energy), (False, open_energy)])
def test_energies_without_a_longitudinal_field_are_those_of_free_fermions(
    sites, field, periodic, exact
):
    found = ground_state(hamiltonian(sites, field, 0.0, periodic=periodic))
    assert found.energy == pytest.approx(exact(sites, field), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("sites", [12, 14])
def test_energies_of_long_chains_are_those_of_free_fermions(sites):
    for field in FIELDS:
        found = ground_state(hamiltonian(sites, field, 0.0))
        assert found.energy == pytest.approx(periodic_energy(sites, field), abs=1e-12)


@pytest.mark.parametrize("periodic", [True, False])
def test_the_matrix_is_symmetric_and_its_diagonal_is_the_classical_energy(periodic):
    sites, h = 5, 0.3
    matrix = hamiltonian(sites, 0.7, h, periodic=periodic).toarray()
    assert np.array_equal(matrix, matrix.T)
    s = spins(sites)
    neighbours = np.roll(s, -1, axis=1) * s
    bonds = neighbours.sum(1) if periodic else neighbours[:, :-1].sum(1)
    np.testing.assert_allclose(np.diag(matrix), -(bonds + h * s.sum(1)) / sites, atol=1e-15)
    # beside it -B / n wherever two states differ by one spin, else nothing
    flips = (s[:, None] != s[None]).sum(2)
    off = matrix - np.diag(np.diag(matrix))
    np.testing.assert_allclose(off, np.where(flips == 1, -0.7 / sites, 0), atol=1e-15)


def test_without_a_field_all_spins_are_up_and_in_a_strong_one_none_has_a_direction():
    s = spins(8).sum(1) / 8
    still = ground_state(hamiltonian(8, 0.0))
    assert still.amplitudes @ (s * still.amplitudes) == pytest.approx(1, abs=1e-14)
    assert still.energy == pytest.approx(-1.01)
    strong = ground_state(hamiltonian(8, 1e4))
    np.testing.assert_allclose(strong.amplitudes, 2.0**-4, rtol=1e-3)  # all states alike
    assert strong.amplitudes @ (s * strong.amplitudes) < 1e-4


def test_a_small_field_turns_every_spin_by_perturbation_theory():
    """Amplitude of one flipped spin: B / (its energy less that of all up), 4 + 2 h."""
    field = 1e-4
    c = ground_state(hamiltonian(8, field)).amplitudes
    np.testing.assert_allclose(c[2 ** np.arange(8)], field / 4.02, rtol=1e-6)  # next order: B^2


@pytest.mark.parametrize("sites", [8, 10])  # dense, and by the Lanczos method
def test_what_stands_beside_a_state_is_so(sites):
    matrix = hamiltonian(sites, 0.9)
    found = ground_state(matrix)
    values = np.linalg.eigvalsh(matrix.toarray())
    assert found.energy == pytest.approx(values[0], abs=1e-13)
    assert found.gap == pytest.approx(values[1] - values[0], abs=1e-13)
    left = matrix @ found.amplitudes - found.energy * found.amplitudes
    assert found.residual == pytest.approx(np.linalg.norm(left))
    assert found.residual < 1e-12
    assert np.linalg.norm(found.amplitudes) == pytest.approx(1)
    assert found.amplitudes.min() > -1e-12  # Perron and Frobenius, up to round-off


@pytest.mark.parametrize("name", ["ising_8", "ising_10", "ising_open_8", "particle_1d"])
def test_a_state_is_made_again_bit_for_bit(name):
    card = load_card(name)
    cells = card.native_grid[-1]
    one, two = (simulate(card, split="train", index=3, seed=5, resolution=cells) for _ in range(2))
    assert one.fields.tobytes() == two.fields.tobytes()
    assert one.parameters == two.parameters
    other = simulate(card, split="train", index=4, seed=5, resolution=cells)
    assert other.fields.tobytes() != one.fields.tobytes()


def test_states_are_not_resampled():
    card = load_card("ising_8")
    with pytest.raises(UserError, match=r"256 states along x, not 128.*--resolution"):
        simulate(card, split="train", index=0, seed=0, resolution=128)


def test_a_ladder_leads_the_field_across_the_critical_one_and_leaves_the_rest():
    card = load_card("ising_12_field_1.05")
    state = simulate(card, split="test", index=0, seed=0, resolution=4096)
    assert 1.0 <= state.parameters["field"] <= 1.1
    assert state.fields.shape == (1, 1, 1, 4096)
    assert card.shift.distance == pytest.approx(0.55 / 0.49)
