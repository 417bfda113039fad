"""Mixtures without a gate: a sample's expert by its corpus, or by chance of its trajectory."""

from dataclasses import replace

import pytest
import torch
from architectures import batch_of, config_of, network_of, random_batch

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from foundation.models.network import FieldNetwork
from foundation.models.registry import build_model
from foundation.moe.merged import MergedMaps
from foundation.moe.router import RouterConfig, assigned
from foundation.moe.spectral import SpectralExperts

EXPERTS = 3
CORPORA = (2, 0, 1, 4, 2)  # the fifth corpus shares the second's expert
MIXTURES = ("moe_pot", "moe_fno")
every_mixture = pytest.mark.parametrize("name", MIXTURES)


def routed(name: str, by: str = "corpus", **options) -> FieldNetwork:
    return network_of(name, router={"num_experts": EXPERTS, "top_k": 1, "by": by}, **options)


def batch_from(corpora: tuple[int, ...], generator: torch.Generator) -> Batch:
    return replace(random_batch(generator, len(corpora)), corpus_id=torch.tensor(corpora))


def with_expert(network: FieldNetwork, expert: int) -> FieldNetwork:
    """The network with one expert alone, which its gate cannot but choose."""
    values = network.config.model_dump() | {"router": {"num_experts": 1, "top_k": 1}}
    one = build_model(type(network.config).model_validate(values), seed=1)
    weights = network.state_dict()
    taken = {}
    for path, tensor in one.state_dict().items():
        of_expert = weights[path.replace("experts.0.", f"experts.{expert}.")]
        taken[path] = of_expert[: len(tensor)] if ".router." in path else of_expert
    one.load_state_dict(taken)
    return one


def dense_fno(network: FieldNetwork, expert: int) -> FieldNetwork:
    """An FNO with the shared weights and those of one expert added to them."""
    own_alone = {"router", "routed_modes", "shared", "routed_ends", "model_type"}
    values = network.config.model_dump(exclude=own_alone)
    dense = network_of("fno", **values).double()
    own = network.state_dict()
    merged = {}
    for number, layer in enumerate(network.layers):
        assert isinstance(layer.spectral.shared, SpectralExperts)
        weight_KDF = layer.spectral.shared.weight[0].clone()
        weight_KDF[network.config.routed] += layer.spectral.routed.experts.weight[expert]
        merged[f"layers.{number}.spectral.weight"] = torch.stack(weight_KDF.chunk(2, dim=2))
    for path, end in network.named_children():
        if isinstance(end, MergedMaps):
            merged[f"{path}.weight"] = end.shared.weight + end.weight[expert]
            merged[f"{path}.bias"] = end.shared.bias + end.bias[expert]
    dense.load_state_dict({**{path: own.get(path) for path in dense.state_dict()}, **merged})
    return dense


@torch.no_grad()
@pytest.mark.parametrize("ends", [{}, {"routed_ends": True, "patch": 2, "skip": True}])
@pytest.mark.parametrize("recompute", [False, True])
def test_an_oracles_sample_is_forecast_by_the_fno_of_merged_weights(recompute, ends, generator):
    network = routed("moe_fno", instance_norm=True, **ends).double()
    for end in network.modules():
        if isinstance(end, MergedMaps):  # they start as the shared one
            end.weight.normal_(0, 0.1, generator=generator)
            end.bias.normal_(0, 0.1, generator=generator)
    network.recompute_blocks = recompute
    batch = batch_from(CORPORA, generator)
    batch = replace(batch, given=batch.given.double())
    found = network(batch).fields
    forecasts = torch.stack([dense_fno(network, expert)(batch).fields for expert in range(EXPERTS)])
    for row, corpus in enumerate(CORPORA):
        errors = (forecasts[:, row] - found[row]).abs().amax((1, 2, 3, 4))
        assert int(errors.argmin()) == corpus % EXPERTS
        assert errors.min() < 1e-6  # fields come out in float32
        assert errors.sort().values[1] > 1e-4, "other experts forecast something else"


@torch.no_grad()
@every_mixture
@pytest.mark.parametrize("by", ["corpus", "random"])
def test_a_sample_is_forecast_as_by_a_network_with_its_expert_alone(name, by, generator):
    network = routed(name, by)
    batch = replace(batch_from(CORPORA, generator), keys=tuple(f"c/train-{n}@0" for n in range(5)))
    prediction = network(batch)
    chosen_LB = torch.stack([block.experts_BK[:, 0] for block in prediction.routing])
    assert (chosen_LB == chosen_LB[0]).all(), "one expert in all blocks"
    assert len(chosen_LB[0].unique()) > 1
    for expert in chosen_LB[0].unique():
        rows = chosen_LB[0] == expert
        alone = with_expert(network, int(expert))(batch).fields
        torch.testing.assert_close(prediction.fields[rows], alone[rows], rtol=1e-4, atol=1e-5)


def _expert_of(config: RouterConfig, batch: Batch) -> torch.Tensor:
    routing = assigned(config, batch)
    assert routing is not None
    assert (routing.weights_BK == 1).all()
    return routing.experts_BK[:, 0]


def test_chance_keeps_a_trajectorys_expert_and_is_even_over_trajectories(generator):
    config = RouterConfig(num_experts=4, top_k=1, by="random")
    count = 4000
    blank = batch_of(torch.zeros(count, 1, 1, 1, 1))
    names = [f"train-{n:06d}" for n in range(count)]
    windows = (
        [f"fno_ns_1e-5/{name}@0" for name in names],
        [f"fno_ns_1e-5/{name}@{n % 7}" for n, name in enumerate(names)],
        [f"{name}@3" for name in names],  # as a judge calls it
    )
    first, *others = (_expert_of(config, replace(blank, keys=tuple(keys))) for keys in windows)
    assert all(torch.equal(first, other) for other in others)
    counts = torch.bincount(first, minlength=4).double()
    expected, sigma = count / 4, (count * 3 / 16) ** 0.5
    assert (counts - expected).abs().max() < 4 * sigma
    neighbours = (first[1:] == first[:-1]).double().mean()  # no order of the files is followed
    assert neighbours == pytest.approx(1 / 4, abs=4 * (3 / 16 / count) ** 0.5)


@every_mixture
@pytest.mark.parametrize("by", ["corpus", "random"])
def test_a_control_starts_from_the_weights_of_what_it_is_compared_with(name, by):
    control, gated = routed(name, by).state_dict(), routed(name, "gate").state_dict()
    assert control.keys() == gated.keys()
    assert all(torch.equal(tensor, gated[path]) for path, tensor in control.items())


@every_mixture
def test_all_but_the_gates_learns(name, generator):
    network = routed(name)
    prediction = network(batch_from(CORPORA, generator))
    (prediction.fields.square().sum() + prediction.class_logits.square().sum()).backward()
    for path, parameter in network.named_parameters():
        assert parameter.requires_grad == (".router." not in path), path
        if parameter.requires_grad:
            assert parameter.grad.abs().max() > 0, path


@every_mixture
def test_what_assigns_experts_assigns_one(name):
    with pytest.raises(UserError, match=r"by=corpus assigns one expert; set router.top_k=1"):
        config_of(name, router={"num_experts": 4, "top_k": 2, "by": "corpus"})
