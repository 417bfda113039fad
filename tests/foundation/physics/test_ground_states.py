"""Laws of H without a matrix, and of what judges a state."""

import numpy as np
import pytest
import torch

from data_shards.generate import particle as particle_matrix
from data_shards.generate.ground_state import ground_state
from data_shards.generate.spin_chain import hamiltonian
from data_shards.stream.origin import Origin
from foundation.physics import particle
from foundation.physics.ground_states import (
    CHAIN,
    energy_and_residual,
    hamiltonian_of,
    overlap,
)
from foundation.physics.spin_chain import SpinChain, mean_of

FIELDS = torch.tensor([0.2, 1.0, 1.7], dtype=torch.float64)


def noise(generator, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("sites", [3, 4, 7])
@pytest.mark.parametrize("periodic", [True, False])
def test_flipped_bits_are_kronecker_products(sites, periodic, generator):
    chain = SpinChain(sites, periodic, 0.03)
    c_BS = noise(generator, 3, chain.states)
    rows = [
        hamiltonian(sites, float(field), 0.03, periodic=periodic) @ c.numpy()
        for field, c in zip(FIELDS, c_BS, strict=True)
    ]
    np.testing.assert_allclose(chain.apply(c_BS, FIELDS), rows, atol=1e-14)


@pytest.mark.parametrize("grid", [(1, 9), (6, 9)])
def test_differences_of_neighbours_are_kronecker_products(grid, generator, rng):
    potential = 50 * particle_matrix.random_potential(rng, grid, 4)
    psi = noise(generator, 1, *grid)
    applied = particle.apply(psi, torch.from_numpy(potential)[None])
    wanted = particle_matrix.hamiltonian(potential) @ psi.flatten().numpy()
    np.testing.assert_allclose(applied.flatten(), wanted, atol=1e-10)  # energies of 100


@pytest.mark.parametrize("periodic", [True, False])
def test_energy_is_never_below_the_exact_one_and_meets_it_at_the_ground_state(periodic, generator):
    chain = SpinChain(6, periodic)
    found = [ground_state(hamiltonian(6, float(b), periodic=periodic)) for b in FIELDS]
    exact_B = torch.tensor([each.energy for each in found], dtype=torch.float64)
    state_BS = torch.from_numpy(np.stack([each.amplitudes for each in found]))
    for size in (0.0, 1e-3, 0.1, 10.0):
        c_BS = state_BS + size * noise(generator, 3, 64)
        energy_B, residual_B = energy_and_residual(lambda c: chain.apply(c, FIELDS), c_BS)
        above = energy_B - exact_B
        if size == 0:
            torch.testing.assert_close(energy_B, exact_B, atol=1e-14, rtol=0)
            assert residual_B.max() < 1e-14
        else:
            assert above.min() > 1e-8
            for energy, residual, field in zip(energy_B, residual_B, FIELDS, strict=True):
                matrix = hamiltonian(6, float(field), periodic=periodic).toarray()
                # some eigenvalue lies within the residual
                assert np.abs(np.linalg.eigvalsh(matrix) - float(energy)).min() <= residual


def test_neither_sign_nor_length_changes_what_is_judged(generator):
    chain = SpinChain(5)
    c_BS, other_BS = noise(generator, 3, 32), noise(generator, 3, 32)
    one = energy_and_residual(lambda c: chain.apply(c, FIELDS), c_BS)
    two = energy_and_residual(lambda c: chain.apply(c, FIELDS), -3 * c_BS)
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(overlap(c_BS, other_BS), overlap(-2 * c_BS, other_BS))
    torch.testing.assert_close(overlap(c_BS, -c_BS), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("sites", "classes"), [(4, 6), (6, 13), (8, 30), (10, 78), (12, 224), (14, 687)]
)
def test_classes_of_a_periodic_chain_are_binary_bracelets(sites, classes):
    """Counts: OEIS A000029."""
    assert SpinChain(sites).classes_S.max() + 1 == classes


@pytest.mark.parametrize("periodic", [True, False])
def test_amplitudes_of_a_class_are_equal_and_those_of_two_classes_are_not(periodic):
    c = ground_state(hamiltonian(8, 0.9, periodic=periodic)).amplitudes
    classes = SpinChain(8, periodic).classes_S
    of_class = np.bincount(classes, c) / np.bincount(classes)
    np.testing.assert_allclose(c, of_class[classes], atol=1e-13)
    assert np.diff(np.sort(of_class)).min() > 1e-7
    if not periodic:
        assert len(of_class) == (256 + 16) / 2  # palindromes are their own mirror


def test_order_of_the_classical_limits():
    chain = SpinChain(4)
    up, all_alike = torch.zeros(1, 16), torch.ones(1, 16)
    up[0, 0] = 1
    for state, value in ((up, 1.0), (all_alike, 0.0)):
        assert mean_of(chain.magnetisation_S / 4, state) == pytest.approx(value)
        assert mean_of(chain.correlation(2) / 4, state) == pytest.approx(value)
    assert chain.domain_walls_S[[0, 0b0101, 0b0011]].tolist() == [0, 4, 2]
    assert SpinChain(4, False).domain_walls_S[[0, 0b0101, 0b0011]].tolist() == [0, 3, 1]


def test_a_corpus_says_its_hamiltonian_by_what_is_known_of_its_samples(generator):
    chain = SpinChain(5, False, 0.02)
    known = {"longitudinal": 0.02}
    ends = {"left": "open", "right": "open"}
    origins = [Origin(parameters={**known, "field": float(b)}, boundary=ends) for b in FIELDS]
    c_BS = noise(generator, 3, 32)
    applied = hamiltonian_of(CHAIN, origins, {}, c_BS.view(3, 1, 1, 1, 32))(c_BS)
    torch.testing.assert_close(applied, chain.apply(c_BS, FIELDS))
