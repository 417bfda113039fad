"""Laws of the network of ground states: normalised, symmetric, its energy that of the matrix."""

import numpy as np
import pytest
import torch
from states import FIELDS, box_batch, chain_batch, exact_states, states_config, states_network
from torch.utils.flop_counter import FlopCounterMode

from data_shards.errors import UserError
from data_shards.generate.particle import hamiltonian as box_hamiltonian
from data_shards.generate.particle import random_potential
from data_shards.generate.spin_chain import hamiltonian
from foundation import Surrogate
from foundation.models.registry import work_of
from foundation.physics.spin_chain import SpinChain

KINDS = {
    "by up spins": {},
    "by domain walls": {"partition": "domain_walls"},
    "one net": {"partition": "none", "width": 16},
    "classes": {"amplitudes": "classes"},
    "states": {"amplitudes": "states"},
}
every_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
SYMMETRIC = {name: options for name, options in KINDS.items() if name != "states"}
EPSILON = 1e-5  # float32 sums over 32 states


def amplitudes(model, batch):
    return model(batch).fields.flatten(1)


def potentials(rng, *grid):
    drawn = [60 * random_potential(rng, grid, 4) for _ in range(3)]
    return torch.from_numpy(np.stack(drawn)).float()


@every_kind
def test_amplitudes_are_those_of_a_state(options):
    c_BS = amplitudes(states_network(**options), chain_batch(5))
    torch.testing.assert_close(c_BS.square().sum(1), torch.ones(len(FIELDS)), atol=EPSILON, rtol=0)
    assert (c_BS.sum(1) > 0).all()  # the sign that is kept
    assert (c_BS[0] - c_BS[-1]).abs().max() > 1e-4  # and they depend on the field


@every_kind
def test_the_energy_is_that_of_the_matrix_and_never_below_the_exact_one(options):
    prediction = states_network(**options)(chain_batch(5))
    for field, c, energy, residual, exact in zip(
        FIELDS,
        prediction.fields.flatten(1).double().detach().numpy(),
        prediction.terms["energy"].detach(),
        prediction.terms["residual"].detach(),
        exact_states(5),
        strict=True,
    ):
        applied = hamiltonian(5, field) @ c
        assert float(energy) == pytest.approx(c @ applied / (c @ c), abs=EPSILON)
        left = np.linalg.norm(applied - float(energy) * c)
        assert float(residual) == pytest.approx(left, abs=EPSILON)
        assert float(energy) > exact.energy - EPSILON


@pytest.mark.parametrize("options", SYMMETRIC.values(), ids=SYMMETRIC)
@pytest.mark.parametrize("periodic", [True, False])
def test_the_chains_symmetries_hold_to_the_last_bit(options, periodic):
    batch = chain_batch(5, periodic=periodic)
    c_BS = amplitudes(states_network(periodic=periodic, **options), batch)
    by_site = c_BS.view(-1, *[2] * 5)
    assert torch.equal(by_site, by_site.permute(0, 5, 4, 3, 2, 1))
    turned = by_site.permute(0, 2, 3, 4, 5, 1)
    assert torch.equal(by_site, turned) == periodic


def test_a_net_of_all_states_knows_no_symmetry():
    by_site = amplitudes(states_network(amplitudes="states"), chain_batch(5)).view(-1, *[2] * 5)
    assert (by_site - by_site.permute(0, 5, 4, 3, 2, 1)).abs().max() > 1e-3


@pytest.mark.parametrize("quantity", ["hamming_weight", "domain_walls"])
def test_the_parts_weights_sum_to_one_and_are_the_probabilities_of_the_parts(quantity):
    prediction = states_network(partition=quantity)(chain_batch(5))
    (routing,) = prediction.routing
    chain = SpinChain(5)
    numbers = chain.magnetisation_S if quantity == "hamming_weight" else chain.domain_walls_S
    probability_BS = prediction.fields.flatten(1).square()
    parts = np.unique(numbers)
    assert routing.weights_BE.shape == (len(FIELDS), len(parts))
    for number, part in enumerate(parts):
        wanted_B = probability_BS[:, torch.from_numpy(numbers == part)].sum(1)
        torch.testing.assert_close(routing.weights_BE[:, number], wanted_B, atol=EPSILON, rtol=0)
    ones = torch.ones(len(FIELDS))
    for whole in (routing.weights_BE, routing.shares_BE, routing.probabilities_BE):
        torch.testing.assert_close(whole.sum(1), ones, atol=EPSILON, rtol=0)


@pytest.mark.parametrize(
    ("sites", "count"), [(4, 565), (8, 1017), (10, 1243), (12, 1469), (14, 1695)]
)
def test_experts_of_three_inputs_have_113_parameters(sites, count):
    model = states_network(resolution=1 << sites, distances=1)
    assert model.parameter_counts().total == count
    assert model.config.num_experts == sites + 1
    assert model.config.num_routed == 0  # physics routes: there is no router to learn or to freeze


def test_pg_moe_is_150_times_smaller_than_the_first_dense_net_at_12_spins_by_its_nature():
    twelve = {"resolution": 4096}
    dense = states_network(**twelve, amplitudes="states", width=100, layers=4)
    assert dense.parameter_counts().total == 200 + 3 * 10100 + 101 * 4096
    assert dense.parameter_counts().total > 150 * states_network(**twelve).parameter_counts().total


@every_kind
def test_a_gradient_reaches_every_parameter_and_a_batch_couples_nothing(options):
    model = states_network(**options)
    prediction = model(chain_batch(5))
    (prediction.fields[..., 3].sum() + prediction.terms["energy"].sum()).backward()
    for path, parameter in model.named_parameters():
        # A last bias of a lone net lifts all logarithms alike, which the length takes back.
        if path != "experts.0.4.bias" or options.get("partition") != "none":
            assert parameter.grad.abs().max() > 0, path
    alone = amplitudes(model, chain_batch(5, FIELDS[1:2]))
    torch.testing.assert_close(alone, prediction.fields.flatten(1)[1:2], atol=EPSILON, rtol=0)


def test_the_ground_state_is_found_without_labels_by_the_energy_alone():
    model, batch = states_network(resolution=16), chain_batch(4)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(300):
        optimiser.zero_grad()
        model(batch).terms["energy"].mean().backward()
        optimiser.step()
    overlap_B = (amplitudes(model, batch) * batch.asked.flatten(1)).sum(1)
    assert overlap_B.min() > 0.99


@pytest.mark.parametrize("kind", [{"partition": "region"}, {"amplitudes": "states"}])
@pytest.mark.parametrize("grid", [(1, 13), (13, 13)])
def test_a_particle_is_answered_on_its_grid_with_the_energy_of_its_matrix(kind, grid, rng):
    options = {"partition": "none", **kind}
    model = states_network(
        slots=("potential",), resolution=13, dimensions=1 if grid[0] == 1 else 2, **options
    )
    batch = box_batch(potentials(rng, *grid))
    prediction = model(batch)
    assert prediction.fields.shape == (3, 1, 1, *grid)
    for potential, c, energy in zip(
        batch.given[:, 0, 0].double().numpy(),
        prediction.fields.flatten(1).double().detach().numpy(),
        prediction.terms["energy"].detach(),
        strict=True,
    ):
        matrix = box_hamiltonian(potential)
        assert float(energy) == pytest.approx(c @ (matrix @ c) / (c @ c), rel=1e-5)


def test_lifting_a_potential_leaves_the_state_of_its_experts(rng):
    model = states_network(slots=("potential",), resolution=13, partition="region")
    drawn = potentials(rng, 1, 13)
    one, lifted = (amplitudes(model, box_batch(drawn + by)) for by in (0, 30))
    torch.testing.assert_close(one, lifted, atol=1e-5, rtol=1e-4)


@every_kind
def test_products_are_counted_as_torch_counts_them(options):
    model = states_network(**options)
    with FlopCounterMode(display=False) as counter:
        model(chain_batch(5, FIELDS[:1]))
    assert work_of(model.config).products == counter.get_total_flops()


@pytest.mark.parametrize("dimensions", [1, 2])
def test_products_of_a_particles_experts_are_counted_too(dimensions):
    model = states_network(
        slots=("potential",), resolution=13, dimensions=dimensions, partition="region"
    )
    with FlopCounterMode(display=False) as counter:
        model(box_batch(torch.zeros(1, *model.config.grid)))
    assert work_of(model.config).products == counter.get_total_flops()


def test_a_saved_network_is_asked_by_numbers(tmp_path):
    model = states_network(resolution=16)
    Surrogate(model, model.config, {}).save_pretrained(tmp_path / "model")
    loaded = Surrogate.from_pretrained(tmp_path / "model")
    given = chain_batch(4)
    states = loaded.solve({}, {"field": torch.tensor(FIELDS)})
    assert torch.equal(states, model(given).fields[:, 0])
    torch.testing.assert_close(loaded.solve({}, {"field": FIELDS[1]}), states[1:2])
    assert torch.equal(loaded.solve(given.given[:, 0, 0]), states)
    with pytest.raises(UserError, match="no field is given"):
        loaded.solve({}, {})
    with pytest.raises(UserError, match="field varies over a sample"):
        loaded.solve(given.given[:, 0, 0] + torch.arange(16.0))


def test_samples_of_another_chain_are_refused():
    """Their energy would be that of the wrong matrix."""
    with pytest.raises(UserError, match=r"periodic=false .* set model\.periodic"):
        states_network()(chain_batch(5, periodic=False))
    with pytest.raises(UserError, match=r"longitudinal=0\.01, the model .* longitudinal=0\.3"):
        states_network(longitudinal=0.3)(chain_batch(5))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"resolution": 100}, r"2\^n states"),
        ({"resolution": 1 << 15}, "less than or equal to 16384"),
        ({"partition": "region"}, "of a box"),
        ({"distances": 5}, "has 5 sites"),
        ({"layers": 1 << 40}, "less than or equal to 64"),
        ({"slots": ("heat",)}, "wanted"),
        ({"context_frames": 3}, "one frame is given"),
        ({"slots": ("potential",)}, "no spins"),
        ({"slots": ("potential",), "amplitudes": "classes", "partition": "none"}, "no symmetry"),
        ({"instance_norm": True}, "instance_norm"),
        (
            {"slots": ("potential",), "partition": "none", "dimensions": 2, "resolution": 129},
            "16384 at most",
        ),
        ({"dimensions": 2}, "in one"),
    ],
)
def test_what_is_no_system_of_states_is_refused(options, fault):
    with pytest.raises(UserError, match=fault):
        states_config(**options)
