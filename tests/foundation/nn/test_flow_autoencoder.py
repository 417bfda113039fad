"""Flows out of an untrained decoder: incompressible, closed where they must be, of a known mean."""

from dataclasses import replace

import pytest
import torch
from box_flows import CUBES, SIDE, box_network, faces_of, flow_batch

from data_shards.stream.origin import Origin
from foundation.nn.flow_autoencoder import flow_of
from foundation.physics.staggered import divergence

SIDES = dict.fromkeys(("left", "right", "bottom", "top", "front", "back"), "periodic")


@pytest.fixture
def decoded(generator):
    """A batch of flows and what an untrained tokenizer makes of it, in float64."""
    batch = flow_batch(generator)
    return batch, box_network("flow_tokenizer").eval()(batch).fields[:, 0].detach()


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


def test_the_mean_flow_is_that_of_the_amplitudes_and_none_through_walls(decoded, generator):
    batch, fields = decoded
    network = box_network("flow_tokenizer").eval()
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
    network = box_network(
        "flow_tokenizer", autoencoder={"width": 4, "levels": 1, "constrained": False}
    ).eval()
    fields = network(batch).fields[:, 0]
    assert divergence(fields[:, :3], CUBES).abs().max() > 1e-2
    assert fields[:, :3][faces_of(batch) == 0].abs().min() > 0


def test_a_frame_is_reconstructed_alike_in_any_company(decoded):
    batch, fields = decoded
    network = box_network("flow_tokenizer").eval()
    order = torch.tensor([2, 0])
    some = replace(
        batch,
        **{n: getattr(batch, n)[order] for n in ("given", "asked", "asked_mask", "valid_mask")},
    )
    torch.testing.assert_close(network(some).fields[:, 0], fields[order], rtol=1e-5, atol=1e-6)


def test_a_flow_twice_as_fast_is_reconstructed_twice_as_fast(decoded):
    batch, fields = decoded
    network = box_network("flow_tokenizer").eval()
    faster = replace(batch, given=2 * batch.given)
    torch.testing.assert_close(network(faster).fields[:, 0], 2 * fields)


def test_a_periodic_flow_moved_by_whole_latents_is_reconstructed_there(decoded):
    batch, fields = decoded
    network = box_network("flow_tokenizer").eval()
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
