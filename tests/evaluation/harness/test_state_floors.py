"""Floors of ground states: the published figures of variational states, and labels at hand."""

import numpy as np
import pytest
import torch
from states import box_batch, chain_batch, exact_states

from data_shards.catalogue import load_card
from evaluation.harness.floors import FLOORS, floors_of
from evaluation.harness.state_floors import interpolated, variational
from foundation.physics.ground_states import energy_and_residual, overlap
from foundation.physics.spin_chain import SpinChain

CHAIN = SpinChain(8)


def cosine(state: torch.Tensor, field: float) -> float:
    (found,) = exact_states(8, [field])
    return abs(float(state @ torch.from_numpy(found.amplitudes)))


@pytest.mark.parametrize(
    ("exponents", "field", "known"),
    [  # found elsewhere, by another minimiser
        (2, 0.5, 0.99997), (2, 0.9, 0.953), (2, 1.1, 0.898), (2, 1.4, 0.989), (2, 2.0, 0.9985),
        (3, 0.5, 0.99997), (3, 0.9, 0.960), (3, 1.1, 0.9986), (3, 1.4, 0.9994), (3, 2.0, 0.9997),
    ],
)  # fmt: skip
def test_variational_states_are_as_near_as_they_are_known_to_be(exponents, field, known):
    found = cosine(variational(CHAIN, field, exponents), field)
    assert found == pytest.approx(known, abs=6e-4 if known < 0.999 else 6e-5)


def test_a_further_exponent_never_raises_the_energy():
    for field in (0.3, 0.95, 1.6):
        fields = torch.tensor([field], dtype=torch.float64)
        two, three = (
            energy_and_residual(
                lambda c, b=fields: CHAIN.apply(c, b), variational(CHAIN, field, k)[None]
            )[0]
            for k in (2, 3)
        )
        (exact,) = exact_states(8, [field])
        assert exact.energy < float(three) <= float(two) + 1e-12


def test_labels_answer_within_their_range_and_the_last_one_beyond():
    for field in (0.01, 0.2345, 0.5):
        assert cosine(interpolated(CHAIN, field), field) > 1 - 1e-7
    assert torch.equal(interpolated(CHAIN, 0.5), interpolated(CHAIN, 1.9))
    # the figure of the last label, a mean over fields beyond
    beyond = np.linspace(0.52, 2, 38)
    assert np.mean([cosine(interpolated(CHAIN, b), b) for b in beyond]) == pytest.approx(
        0.61, abs=0.02
    )


def test_floors_answer_a_batch_in_its_shape_and_are_states():
    batch = chain_batch(5)
    for name in floors_of(load_card("ising_8")):
        answer = FLOORS[name](batch, 1)
        assert answer.shape == batch.asked.shape
        assert answer.dtype == torch.float32
        states = answer.flatten(1)
        assert overlap(states, states).sub(1).abs().max() < 1e-6
        if name != "all_up":
            assert overlap(states, batch.asked.flatten(1))[0] > 0.9999
    up = FLOORS["all_up"](batch, 1).flatten(1)
    assert torch.equal(up.nonzero(), torch.tensor([[row, 0] for row in range(4)]))


def test_a_particles_floor_is_the_empty_box():
    assert floors_of(load_card("particle_2d")) == ("box",)
    answer = FLOORS["box"](box_batch(torch.zeros(2, 7, 9)), 1)
    x, y = ((torch.arange(n) + 1) / (n + 1) for n in (9, 7))
    wave = (torch.pi * y).sin()[:, None] * (torch.pi * x).sin()
    torch.testing.assert_close(answer[1, 0, 0], wave / wave.norm())
    assert floors_of(load_card("elliptic_poisson")) == ("zero",)
