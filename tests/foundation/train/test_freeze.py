"""Frozen routers stay the functions they were, whatever training does around them."""

from collections.abc import Iterator

import pytest
import torch
from architectures import DENSE, config_of, network_of, random_batch
from torch import Tensor, nn

from data_shards.errors import UserError
from foundation.models.network import FieldNetwork
from foundation.moe.mixture import MixtureOfExperts
from foundation.nn.normalise import SampleBatchNorm
from foundation.train.freeze import at_temperature_floor, freeze_routers, router_parts

GATES = ("batch", "layer")


def mixture(gate: str) -> FieldNetwork:
    router = {"num_experts": 6, "top_k": 2, "gate_norm": gate}
    return network_of("moe_pot", router=router)


def train(model: nn.Module, generator: torch.Generator, steps: int = 5) -> None:
    """Steps of Adam with a weight decay that nobody could overlook, of all that learns."""
    learning = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.5)
    for _ in range(steps):
        model.train()
        batch = random_batch(generator, 4)
        prediction = model(batch)
        routes = sum(r.weights_BK.square().sum() for r in prediction.routing)
        (prediction.fields.square().mean() + routes).backward()
        optimiser.step()
        optimiser.zero_grad()


def router_state(model: nn.Module) -> dict[str, Tensor]:
    """Everything that a router keeps: parameters and batch statistics."""
    return {
        f"{path}.{name}": tensor.clone()
        for path, part in router_parts(model)
        for name, tensor in part.state_dict().items()
    }


def routes_of(model: nn.Module, inputs_BND: Tensor) -> Iterator[Tensor]:
    """Logits and weights of every block for one and the same block input."""
    for module in model.modules():
        if isinstance(module, MixtureOfExperts):
            with torch.no_grad():
                routing = module(inputs_BND, model.temperature)[1]
            yield from (routing.logits_BE, routing.weights_BE)


@pytest.mark.parametrize("gate", GATES)
def test_nothing_of_a_frozen_router_moves_and_all_else_does(gate, generator):
    model = mixture(gate)
    freeze_routers(model)
    frozen, before = router_state(model), {n: p.clone() for n, p in model.named_parameters()}
    train(model, generator)
    assert frozen
    for name, tensor in router_state(model).items():
        assert torch.equal(tensor, frozen[name]), name
    for name, parameter in model.named_parameters():
        if name not in frozen and not name.startswith("classify"):  # a head without a loss
            assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("gate", GATES)
def test_a_free_router_moves_in_every_part(gate, generator):
    model = mixture(gate)
    before = router_state(model)
    train(model, generator)
    moved = {name for name, tensor in router_state(model).items() if tensor.ne(before[name]).any()}
    assert moved == set(before)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("mode", [True, False])
def test_a_frozen_router_sends_the_same_block_input_the_same_way(gate, mode, generator):
    model = mixture(gate)
    train(model, generator, 2)  # statistics that are nobody's default
    freeze_routers(model)
    inputs = torch.randn(3, 16, 16, generator=generator)
    before = list(routes_of(model.train(mode), inputs))
    train(model, generator)
    after = list(routes_of(model.train(mode), inputs))
    assert len(before) == 4
    for ours, theirs in zip(after, before, strict=True):
        assert torch.equal(ours, theirs)


def test_a_frozen_router_sends_a_sample_the_same_way_whatever_is_beside_it(generator):
    model = mixture("batch")
    inputs = torch.randn(4, 16, 16, generator=generator)
    coupled = next(routes_of(model.train(), inputs))[:1]
    assert not torch.allclose(next(routes_of(model, inputs[:2]))[:1], coupled, atol=1e-3)
    freeze_routers(model)
    model.train()
    alone, together = next(routes_of(model, inputs[:1])), next(routes_of(model, inputs))[:1]
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)  # sums in another order


def test_train_does_not_wake_frozen_statistics():
    model = mixture("batch")
    freeze_routers(model)
    for switch in (model.train, lambda: model.train(True), model.eval, model.blocks[0].train):
        switch()
        norms = [m for m in model.modules() if isinstance(m, SampleBatchNorm)]
        assert len(norms) == 4
        assert not any(norm.training for norm in norms)


def test_gradients_pass_through_a_frozen_router_to_the_layers_before_it(generator):
    model = mixture("layer")
    freeze_routers(model)
    routing = model(random_batch(generator)).routing[-1]
    routing.weights_BK[:, 0].sum().backward()
    assert model.embed.project.weight.grad.abs().sum() > 0


def test_the_floor_of_the_temperature_holds_at_every_step():
    config = at_temperature_floor(config_of("moe_pot"))
    assert [config.router.temperature.at(step) for step in (0, 1, 10**6)] == [0.5] * 3
    again = config.model_copy(update={"router": config_of("moe_pot").router})
    assert again == config_of("moe_pot"), "nothing else changes"


@pytest.mark.parametrize("name", DENSE)
def test_dense_networks_have_no_router_to_freeze(name):
    with pytest.raises(UserError, match="take router=free"):
        freeze_routers(network_of(name))
    assert at_temperature_floor(config_of(name)) == config_of(name)
