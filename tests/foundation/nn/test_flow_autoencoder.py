"""Flows out of an untrained decoder: incompressible, closed where they must be, of a known mean."""

from dataclasses import replace

import pytest
import torch
from box_flows import CUBES, SIDE, box_network, faces_of, flow_batch

from data_shards.stream.origin import Origin
from foundation.models.network import FieldNetwork
from foundation.nn.flow_autoencoder import flow_of
from foundation.physics.staggered import divergence, harmonic_fields

SIDES = dict.fromkeys(("left", "right", "bottom", "top", "front", "back"), "periodic")


def tokenizer(velocity: str = "potential") -> FieldNetwork:
    """Untrained, in evaluation."""
    sizes = {"width": 4, "levels": 1, "latent_channels": 3, "velocity": velocity}
    return box_network("flow_tokenizer", autoencoder=sizes).eval()


@pytest.fixture(params=["potential", "projected"])
def network(request):
    return tokenizer(request.param)


@pytest.fixture
def decoded(network, generator):
    """A batch of flows and what an untrained tokenizer makes of it, in float64."""
    batch = flow_batch(generator)
    return batch, network(batch).fields[:, 0].detach()


def test_any_weights_give_a_flow_without_divergence(decoded):
    _, fields = decoded
    assert fields.dtype == torch.float64
    speed = fields[:, :3].square().sum(1).mean().sqrt()
    # Differences of numbers of order one, in units of the speed over a cell.
    assert divergence(fields[:, :3], CUBES).abs().max() < 1e-13 * max(speed, 1)
    assert divergence(fields[:, :3].float(), CUBES).abs().max() > 1e-8  # what a file would keep


def test_any_weights_give_a_flow_that_crosses_nothing(decoded):
    batch, fields = decoded
    closed = faces_of(batch) == 0
    assert closed.sum(dim=(1, 2, 3, 4)).tolist()[0] == 0
    assert (fields[:, :3][closed] == 0).all()
    assert (fields[:, :3][~closed] != 0).all()


def test_the_mean_flow_is_that_of_the_amplitudes_and_none_through_walls(network, generator):
    batch = flow_batch(generator)
    with torch.no_grad():
        network.autoencoder.amplitudes.weight.zero_()
        network.autoencoder.amplitudes.bias.copy_(torch.tensor([0.5, -2.0, 0.25]))
        fields = network(batch).fields[:, 0]
    speed = flow_of(batch).scale[:, 0, 0].flatten().double()
    wanted = torch.tensor([[0.5, -2.0, 0.25]] * 3).double() * speed[:, None]
    wanted[1, 1] = 0  # across its walls
    torch.testing.assert_close(fields[:, :3].mean((2, 3, 4)), wanted, rtol=1e-6, atol=1e-12)


def test_a_decoder_without_the_constraint_keeps_none_of_it(generator):
    batch = flow_batch(generator)
    fields = tokenizer("free")(batch).fields[:, 0]
    assert divergence(fields[:, :3], CUBES).abs().max() > 1e-2
    assert fields[:, :3][faces_of(batch) == 0].abs().min() > 0


def test_a_frame_is_reconstructed_alike_in_any_company(decoded, network):
    batch, fields = decoded
    order = torch.tensor([2, 0])
    some = replace(
        batch,
        **{n: getattr(batch, n)[order] for n in ("given", "asked", "asked_mask", "valid_mask")},
    )
    torch.testing.assert_close(network(some).fields[:, 0], fields[order], rtol=1e-5, atol=1e-6)


def test_a_flow_twice_as_fast_is_reconstructed_twice_as_fast(decoded, network):
    batch, fields = decoded
    faster = replace(batch, given=2 * batch.given)
    torch.testing.assert_close(network(faster).fields[:, 0], 2 * fields)


def test_a_periodic_flow_moved_by_whole_latents_is_reconstructed_there(decoded, network):
    batch, fields = decoded
    moved = replace(
        batch,
        given=batch.given.roll((2, 4), (3, 5)),
        valid_mask=batch.valid_mask.roll((2, 4), (2, 4)),
    )
    there = network(moved).fields[:, 0]
    # The second sample has walls, which do not move along.
    for sample in (0, 2):
        wanted = fields[sample].roll((2, 4), (1, 3))
        torch.testing.assert_close(there[sample], wanted, rtol=1e-4, atol=1e-5)


def test_walls_are_those_that_origins_say_and_else_those_that_are_seen(generator):
    batch = flow_batch(generator)
    seen = flow_of(batch).open
    assert torch.equal(seen, faces_of(batch))
    noisy = replace(batch, given=batch.given + 1e-3)
    assert flow_of(noisy).open[1, 1].select(1, 0).min() == 1
    boundary = [SIDES, {**SIDES, "bottom": "no_slip", "top": "free_slip"}, SIDES]
    box = (0.0, 1.0, 0.0, 1.0, 0.0, 2.0)
    origins = tuple(Origin(extent=box, boundary=sides) for sides in boundary)
    said = flow_of(replace(noisy, origins=origins))
    assert torch.equal(said.open, seen)
    assert said.spacing_B3.tolist() == [[1, 1, 2]] * 3


def test_latents_stand_on_a_coarser_grid(generator):
    batch = flow_batch(generator, frames=2)
    autoencoder = box_network("flow_tokenizer").autoencoder
    latents = autoencoder.encode(batch.given, flow_of(batch))
    assert latents.shape == (3, 2, 3, SIDE // 2, SIDE // 2, SIDE // 2)


def test_gradients_pass_to_a_projected_potential(generator):
    network = tokenizer("projected").train()
    network(flow_batch(generator)).fields[:, :, :3].square().sum().backward()
    assert network.autoencoder.last.weight.grad[:3].abs().max() > 0
    assert network.autoencoder.amplitudes.weight.grad.abs().max() > 0


def test_a_projected_curl_shares_a_flow_among_holes_and_a_potential_cannot(generator):
    """A plate with two holes across a box: a potential of zero at it spreads the mean flow as the
    harmonic field does."""
    batch = flow_batch(generator)
    fluid = torch.ones(3, 1, SIDE, SIDE, SIDE)
    fluid[:, 0, 4] = 0
    fluid[:, 0, 4, 1, 1] = fluid[:, 0, 4, 4:6, 4:6] = 1
    plate = replace(batch, given=batch.given * fluid[:, :, None], valid_mask=fluid)
    harmonic = harmonic_fields(fluid[1, 0], CUBES, (False, True, False))[2, 2, 4]
    shares = {}
    for velocity in ("potential", "projected"):
        upward = tokenizer(velocity)(plate).fields[1, 0, 2, 4].detach()
        shares[velocity] = float(upward[1, 1] / upward.sum())
    wanted = float(harmonic[1, 1] / harmonic.sum())
    assert shares["potential"] == pytest.approx(wanted, rel=1e-6)
    assert abs(shares["projected"] - wanted) > 1e-3
