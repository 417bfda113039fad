"""Laws of routing."""

import pytest
import torch
from architectures import config_of
from pydantic import ValidationError

from data_shards.errors import UserError
from foundation.moe.router import Router, RouterConfig, TemperatureSchedule
from foundation.nn.initialise import initialise

FEATURES = 16


def router(**options) -> Router:
    built = Router(FEATURES, RouterConfig(**options))
    initialise(built, seed=0)
    return built


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_weights_sum_to_one_over_the_best_experts(generator, norm):
    routing = router(gate_norm=norm)(torch.randn(8, FEATURES, generator=generator), 0.5)
    torch.testing.assert_close(routing.weights_BK.sum(1), torch.ones(8))
    torch.testing.assert_close(routing.weights_BE.sum(1), torch.ones(8))
    best = routing.logits_BE.sort(descending=True).indices[:, :4]
    assert torch.equal(routing.experts_BK, best)
    assert torch.equal(routing.chosen_BE.sum(1), torch.full((8,), 4))


def test_layer_gate_routes_a_sample_alike_in_any_batch(generator):
    layer = router(gate_norm="layer")
    x = torch.randn(6, FEATURES, generator=generator)
    whole, alone = layer(x, 0.5), layer(x[2:3], 0.5)
    torch.testing.assert_close(alone.logits_BE, whole.logits_BE[2:3], rtol=1e-5, atol=1e-6)


def test_batch_gate_couples_the_samples_of_a_training_batch(generator):
    batch = router(gate_norm="batch")
    x = torch.randn(6, FEATURES, generator=generator)
    assert (batch(x, 0.5).logits_BE[:3] - batch(x[:3], 0.5).logits_BE).abs().max() > 1e-3


def test_permuting_samples_permutes_routes(generator):
    layer = router()
    x = torch.randn(6, FEATURES, generator=generator)
    order = torch.randperm(6, generator=generator)
    assert torch.equal(layer(x[order], 0.5).experts_BK, layer(x, 0.5).experts_BK[order])


def test_a_colder_router_is_sharper(generator):
    layer = router()
    x = torch.randn(6, FEATURES, generator=generator)
    assert (layer(x, 0.1).weights_BK[:, 0] >= layer(x, 2.0).weights_BK[:, 0]).all()


@pytest.mark.parametrize(("step", "expected"), [(0, 2.0), (1, 1.98), (100, 2 * 0.99**100)])
def test_temperature_decays_from_two(step, expected):
    assert TemperatureSchedule().at(step) == pytest.approx(expected)


def test_temperature_stops_at_one_half():
    assert TemperatureSchedule().at(138) == 0.5
    assert TemperatureSchedule().at(10**6) == 0.5


def test_more_choices_than_experts_is_refused():
    with pytest.raises(ValidationError, match="top_k=5 exceeds"):
        RouterConfig(num_experts=4, top_k=5)
    with pytest.raises(UserError, match="did you mean 'top_k'"):
        RouterConfig.read({"topk": 2}, "router")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("moe_pot", {"unit": "token", "neighbourhood": 3}, "of networks of boxes; leave it out"),
        ("moe_fno", {"unit": "token"}, "set router.unit=sample"),
    ],
)
def test_what_a_mixture_of_planes_cannot_route_it_refuses(name, options, message):
    with pytest.raises(UserError, match=message):
        config_of(name, router=options)
