"""The 10,000 test problems of CoPhy-PGNN's authors are this platform's chain of four spins.

Their files (arXiv:2007.01420, MIT): fields, energies per site, amplitudes; float64.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_shards.generate.ground_state import ground_state
from data_shards.generate.spin_chain import hamiltonian
from foundation.physics.ground_states import energy_and_residual
from foundation.physics.spin_chain import SpinChain

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "realdata" / "cophy_n4"
ROUND_OFF = 1e-12


@pytest.fixture(scope="module")
def problems():
    if not FOLDER.is_dir():
        pytest.skip(f"no published states at {FOLDER}")
    fields, energies, states = (
        np.fromfile(FOLDER / f"testing-{part}.bin") for part in ("fields", "energy", "wavefx")
    )
    return fields, energies, states.reshape(-1, 16)


def test_every_published_energy_and_state_is_found(problems):
    fields, energies, states = problems
    assert len(fields) == 10_000
    assert (fields.min() < 0.02, fields.max() > 1.99) == (True, True)
    matrices = np.stack([hamiltonian(4, field).toarray() for field in (0.0, 1.0)])
    still, flips = matrices[0], matrices[1] - matrices[0]
    values, vectors = np.linalg.eigh(still + fields[:, None, None] * flips)
    np.testing.assert_allclose(values[:, 0], energies, rtol=0, atol=ROUND_OFF)
    cosines = np.abs((vectors[:, :, 0] * states).sum(1)) / np.linalg.norm(states, axis=1)
    assert cosines.min() > 1 - ROUND_OFF


def test_the_generator_gives_them_one_by_one(problems):
    for field, energy, state in list(zip(*problems, strict=True))[::100]:
        found = ground_state(hamiltonian(4, field))
        assert found.energy == pytest.approx(energy, abs=ROUND_OFF)
        assert abs(found.amplitudes @ state) == pytest.approx(np.linalg.norm(state), abs=ROUND_OFF)


def test_flipped_bits_see_them_as_eigenvectors(problems):
    fields, energies, states = (torch.from_numpy(part) for part in problems)
    energy_B, residual_B = energy_and_residual(
        lambda c_BS: SpinChain(4).apply(c_BS, fields), states
    )
    torch.testing.assert_close(energy_B, energies, rtol=0, atol=ROUND_OFF)
    assert residual_B.max() < ROUND_OFF
