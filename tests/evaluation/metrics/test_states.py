"""Laws of what judges a state: nothing for the exact one, whatever its sign and length."""

from math import cos, sin

import numpy as np
import pytest
import torch
from states import FIELDS, chain_batch, exact_states

from data_shards.generate.spin_chain import hamiltonian
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.names import METRICS
from evaluation.metrics.registry import measure
from foundation.physics.ground_states import CHAIN, PARTICLE

SITES = 5
ERRORS = ("infidelity", "energy_error", "eigen_residual")


def judged(pred: torch.Tensor, periodic: bool = True, pde: str = CHAIN) -> Forecast:
    batch = chain_batch(SITES, periodic=periodic)
    setting = Setting((1, 32), 1, ("amplitude",), pde=pde)
    return Forecast(pred, batch.asked, torch.ones_like(batch.asked), setting, batch.origins)


def exact(periodic: bool = True) -> torch.Tensor:
    return chain_batch(SITES, periodic=periodic).asked


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("scale", [1.0, -1.0, -7.0])
def test_the_exact_state_has_no_error_whatever_its_sign_and_length(periodic, scale):
    found = measure(ERRORS, judged(scale * exact(periodic), periodic))
    # float32 amplitudes: 1e-7 of them, squared but in the residual
    for name, most in (("infidelity", 1e-12), ("energy_error", 1e-12), ("eigen_residual", 1e-6)):
        assert found[name].abs().max() < most, name


@pytest.mark.parametrize("angle", [1e-4, 0.3])
def test_infidelity_is_the_squared_sine_of_the_angle_and_overlap_its_cosine(angle):
    truth = exact().double()
    beside = torch.roll(truth, 7, dims=-1)
    beside -= (beside * truth).sum(-1, keepdim=True) * truth / truth.square().sum(-1, keepdim=True)
    turned = cos(angle) * truth + sin(angle) * beside / beside.norm(dim=-1, keepdim=True)
    found = measure(("infidelity", "overlap"), judged(turned))
    wanted = torch.full((len(FIELDS),), sin(angle) ** 2, dtype=torch.float64)
    torch.testing.assert_close(found["infidelity"], wanted, rtol=1e-5, atol=0)
    torch.testing.assert_close(found["overlap"], (1 - wanted).sqrt(), rtol=1e-7, atol=0)


def test_energy_and_residual_are_those_of_the_matrix(generator):
    noisy = exact() + 0.1 * torch.randn(len(FIELDS), 1, 1, 1, 32, generator=generator)
    found = measure(ERRORS, judged(noisy))
    for row, (field, state) in enumerate(zip(FIELDS, exact_states(SITES), strict=True)):
        c = noisy[row].flatten().double().numpy()
        c /= np.linalg.norm(c)
        applied = hamiltonian(SITES, field) @ c
        energy = c @ applied
        above = (energy - state.energy) / abs(state.energy)
        assert float(found["energy_error"][row]) == pytest.approx(above, rel=1e-9)
        assert above > 0
        left = np.linalg.norm(applied - energy * c)
        assert float(found["eigen_residual"][row]) == pytest.approx(left, rel=1e-9)


def test_what_is_not_finite_ranks_last():
    broken = exact()
    broken[1, ..., 3] = torch.nan
    found = measure((*ERRORS, "overlap"), judged(broken))
    for name in ERRORS:
        assert found[name].isinf().tolist() == [False, True, False, False]
    assert found["overlap"][1] == 0


def test_observables_of_classical_states_are_theirs():
    names = [name for name in METRICS if name.startswith(("magnetisation", "correlation"))]
    assert len(names) == 4
    up, alike = torch.zeros_like(exact()), torch.ones_like(exact())
    up[..., 0] = -1
    for state, value in ((up, 1.0), (alike, 0.0)):
        found = measure(tuple(names), judged(state))
        for name in ("magnetisation", "correlation"):
            wanted = torch.full((len(FIELDS),), value, dtype=torch.float64)
            torch.testing.assert_close(found[name], wanted)
    # exact ones fall with the field, from nearly all up on
    order = found["magnetisation_exact"]
    assert order[0] > 0.99
    assert (order.diff() < 0).all()


def test_a_particle_has_no_spins_and_a_flow_no_energy_levels():
    names = ("infidelity", "magnetisation")
    assert set(measure(names, judged(exact(), pde=PARTICLE))) == {"infidelity"}
    assert not measure(names, judged(exact(), pde="Poisson"))
