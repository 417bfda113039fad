"""What a context is like: closed forms, and the routers that see it."""

import math
from dataclasses import replace

import pytest
import torch
from architectures import SIZES, network_of, random_batch
from torch import Tensor

from data_shards.errors import UserError
from foundation.models.annealed import AnnealedNetwork
from foundation.models.context import described, num_described
from foundation.models.members import as_seen_by
from foundation.models.registry import read_model_config
from foundation.moe.experts import ExpertBank
from foundation.moe.gate import Gate
from foundation.moe.router import RouterConfig
from foundation.train.config import load_run_config
from foundation.train.freeze import freeze_routers, router_parts
from foundation.train.noise import with_noise

CONTEXT = {"num_experts": 4, "top_k": 2, "sees": "context"}
SPARSE = ("moe_pot", "moe_fno")
OCTAVES = 5


def parts(fields: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, deviation and change (B, C) as the numbers say them, and shares of octaves."""
    numbers, channels = described(fields), fields.shape[2]
    assert numbers.shape == (len(fields), num_described(channels))
    mean, deviation, change, octaves = numbers.split([channels] * 3 + [channels * OCTAVES], 1)
    shares = octaves.exp().unflatten(1, (channels, OCTAVES))
    return mean.sinh(), deviation.exp(), change.exp(), shares


def wave(count: int, axis: int, grid: tuple[int, ...]) -> Tensor:
    along = torch.arange(grid[axis]) / grid[axis]
    shape = [-1 if n == axis else 1 for n in range(len(grid))]
    return torch.cos(2 * math.pi * count * along).view(shape).expand(grid)


@pytest.mark.parametrize("grid", [(64,), (64, 64), (32, 64), (16, 32, 64)])
def test_a_wave_is_of_its_own_octave_along_every_axis(grid):
    for axis, points in enumerate(grid):
        for count in (1, 2, 3, 7, points // 2 - 1):
            frame = 5.0 + 3.0 * wave(count, axis, grid)
            mean, deviation, change, shares = parts(
                torch.stack([frame - 0.3, frame])[None, :, None]
            )
            octave = int(math.log2(count))
            wanted = torch.zeros(OCTAVES)
            wanted[octave] = 1.0
            torch.testing.assert_close(shares[0, 0], wanted, atol=1e-4, rtol=0)
            assert mean.item() == pytest.approx(5.0, rel=1e-4)
            assert deviation.item() == pytest.approx(3.0 / math.sqrt(2), rel=1e-4)
            assert change.item() == pytest.approx(0.3 / (3.0 / math.sqrt(2)), rel=1e-4)


def test_octaves_share_all_variance_below_32_waves(generator):
    spectrum = torch.fft.rfft2(torch.randn(2, 1, 3, 64, 64, generator=generator))
    rows = torch.fft.fftfreq(64, 1 / 64)[:, None]
    columns = torch.fft.rfftfreq(64, 1 / 64)
    low = torch.hypot(rows, columns) < 31.5
    fields = torch.fft.irfft2(spectrum * low)
    shares = parts(fields)[3]
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 3), atol=1e-4, rtol=0)
    turned = parts(fields.transpose(3, 4))[3]
    torch.testing.assert_close(turned, shares, atol=1e-4, rtol=0)


def test_units_move_mean_and_deviation_alone(generator):
    fields = torch.randn(2, 3, 2, 16, 16, generator=generator)
    mean, deviation, change, shares = parts(fields)
    moved = parts(4.0 * fields + 2.0)
    torch.testing.assert_close(moved[0], 4.0 * mean + 2.0, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(moved[1], 4.0 * deviation, rtol=1e-3, atol=0)
    torch.testing.assert_close(moved[2], change, rtol=1e-3, atol=0)
    torch.testing.assert_close(moved[3], shares, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e6])
def test_padding_and_a_single_frame_are_finite(value):
    assert described(torch.full((1, 1, 4, 8, 8), value)).isfinite().all()


@pytest.mark.parametrize("name", SPARSE)
def test_one_gate_routes_all_blocks_by_what_is_given(name, generator):
    network = network_of(name, router=CONTEXT)
    batch = random_batch(generator, 6)
    sizes = 10.0 ** torch.arange(6).view(-1, 1, 1, 1, 1)
    batch = replace(batch, given=batch.given * sizes)
    assert isinstance(network, AnnealedNetwork)
    gate = network.context_router.gate
    assert isinstance(gate, Gate)
    with torch.no_grad():  # a fresh gate hardly tells noise from noise
        gate.score.weight.mul_(50.0)
    first, *others = network(batch).routing
    assert all(torch.equal(first.experts_BK, other.experts_BK) for other in others)
    assert len(first.experts_BK.sort(1).values.unique(dim=0)) > 1
    assert [path for path, _ in router_parts(network)] == ["context_router"]
    network(batch).fields.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in gate.score.parameters())


def test_late_in_a_rollout_it_sees_earlier_frames(generator):
    network = network_of(SPARSE[0], router=CONTEXT)
    batch, earlier = random_batch(generator, 3), random_batch(generator, 3)
    late = network(replace(batch, routed_by=1e3 * earlier.given))
    torch.testing.assert_close(
        late.routing[0].logits_BE,
        network(replace(earlier, given=1e3 * earlier.given)).routing[0].logits_BE,
    )
    assert not torch.equal(late.routing[0].logits_BE, network(batch).routing[0].logits_BE)
    assert not torch.equal(late.fields, network(earlier).fields)


@pytest.mark.parametrize("name", SPARSE)
def test_noise_of_training_and_of_members_moves_the_answer_and_not_the_routes(name, generator):
    """It fills octaves that smooth fields leave empty; no forecast begins with such frames."""
    network = network_of(name, router=CONTEXT)
    batch = random_batch(generator, 3)
    smooth = 30 + batch.given[..., :1, :1].expand_as(batch.given)
    clean = replace(batch, given=smooth)
    noisy = with_noise(clean, 1e-3, seed=0, first_sample=0)
    shown = (clean, noisy, as_seen_by(clean, member=1, noise=1.0))
    routes = [network(each).routing[0].logits_BE for each in shown]
    assert all(torch.equal(routes[0], other) for other in routes)
    seen = network(replace(noisy, routed_by=None)).routing[0].logits_BE
    assert (seen - routes[0]).abs().max() > 1e-2
    first, *others = (network(each).fields for each in shown)
    assert not any(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", SPARSE)
def test_frozen_it_learns_nothing_and_blocks_do(name, generator):
    network = network_of(name, router=CONTEXT)
    freeze_routers(network)
    network(random_batch(generator, 3)).fields.square().mean().backward()
    assert isinstance(network, AnnealedNetwork)
    assert all(p.grad is None for p in network.context_router.parameters())
    banks = [m for m in network.modules() if isinstance(m, ExpertBank)]
    assert banks
    assert all(p.grad is not None for bank in banks for p in bank.parameters())


@pytest.mark.parametrize("wrong", [{"unit": "token"}, {"by": "corpus", "top_k": 1}])
def test_a_context_is_of_whole_samples_and_of_a_gate(wrong):
    with pytest.raises(UserError, match=r"router\.sees=context"):
        RouterConfig.read({"sees": "context", **wrong}, "test")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("moe_fno", {"scales": {"source": 1.0}, "slots": ["source"], "channels": 1}, "scales"),
        ("shodh_moe", {}, "shodh_moe routes by features"),
    ],
)
def test_networks_that_go_by_no_units_refuse_a_gate_that_does(name, options, message):
    values = {"model_type": name, "resolution": 16, "router": CONTEXT}
    sizes = SIZES["moe_fno"] if name == "moe_fno" else load_run_config("shodh_small", []).model
    sizes = sizes if isinstance(sizes, dict) else sizes.model_dump()
    with pytest.raises(UserError, match=message):
        read_model_config({**sizes, **values, **options}, "test")


def test_activated_parameters_are_those_of_chosen_experts():
    router = {**CONTEXT, "top_k": 3}
    fewer, more = (
        network_of("moe_fno", routed_ends=True, router={**router, "top_k": k}).parameter_counts()
        for k in (2, 3)
    )
    assert fewer.total == more.total
    network = network_of("moe_fno", routed_ends=True, router=router)
    whole = sum(p.numel() for p in network.parameters())
    without = network_of("moe_fno", routed_ends=True, router={**router, "num_experts": 3})
    of_gates = [
        sum(p.numel() for p in one.context_router.parameters()) for one in (network, without)
    ]
    one_expert = whole - sum(p.numel() for p in without.parameters()) - (of_gates[0] - of_gates[1])
    assert more.activated - fewer.activated == one_expert


def test_ends_ask_for_a_routing_that_is_decided_first():
    with pytest.raises(UserError, match=r"routed_ends.*set router\.sees=context"):
        network_of("moe_fno", routed_ends=True)
