"""Tokenizer and latent transformer: contracts, routing of latents, one checkpoint for all."""

from dataclasses import replace

import pytest
import torch
from box_flows import BOXES, CUBES, SEMANTIC, SIDE, box_config, box_network, faces_of, flow_batch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from data_shards.stream.origin import Origin
from foundation import Surrogate
from foundation.checkpoint.folder import save_folder
from foundation.models.registry import outline_model, work_of
from foundation.moe.experts import Experts
from foundation.physics.staggered import divergence
from foundation.plan.cost import cost_of

_PARTS = ("given", "asked", "asked_mask", "valid_mask", "corpus_id")
every_network = pytest.mark.parametrize("name", BOXES)


def frames_of(name: str) -> int:
    return box_config(name).context_frames


def sample_of(batch: Batch, number: int) -> Batch:
    """One sample of a batch."""
    rows = slice(number, number + 1)
    parts = {name: getattr(batch, name)[rows] for name in _PARTS}
    return replace(batch, **parts, keys=batch.keys[rows])


@every_network
def test_frames_come_back_with_the_boxs_shape(name, generator):
    batch = flow_batch(generator, frames_of(name))
    prediction = box_network(name)(batch)
    assert prediction.fields.shape == (3, 1, 4, SIDE, SIDE, SIDE)
    assert bool(prediction.routing) == (box_config(name).num_routed > 0)


@every_network
def test_a_checkpoint_gives_back_the_network(name, generator, tmp_path):
    network = box_network(name, seed=3).eval()
    save_folder(tmp_path, box_config(name), network.state_dict(), {})
    model = Surrogate.from_pretrained(tmp_path)
    batch = flow_batch(generator, frames_of(name))
    assert torch.equal(model(batch).fields, network(batch).fields)


def test_every_parameter_of_a_tokenizer_learns(generator):
    network = box_network("flow_tokenizer")
    network(flow_batch(generator)).fields.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_a_transformer_learns_latents_and_leaves_the_autoencoder_alone(generator):
    network = box_network("shodh_moe", router={**SEMANTIC, "num_experts": 1})
    network(flow_batch(generator, 2)).terms["latent"].mean().backward()
    for path, parameter in network.named_parameters():
        if path.startswith("autoencoder"):
            assert parameter.grad is None, path
        elif not path.endswith("prototypes"):  # of one expert, whose probability is one
            assert parameter.grad.abs().max() > 0, path


def test_what_decodes_its_fields_does_so_in_training_only_if_they_are_wanted(generator):
    network, batch = box_network("shodh_moe"), flow_batch(generator, 2)
    whole = network(batch)
    network.fields_wanted = False
    terms = network(batch)
    assert terms.fields.shape == (3, 0)
    assert torch.equal(terms.terms["latent"], whole.terms["latent"])
    later = network.eval()(batch).fields
    torch.testing.assert_close(later.float(), whole.fields, rtol=1e-4, atol=1e-5)


def test_the_latent_error_of_the_truth_is_zero(generator):
    """With a last map of zeros the next latents are the last ones, here the very truth."""
    network = box_network("shodh_moe")
    with torch.no_grad():
        network.project.weight.zero_()
        network.project.bias.zero_()
    batch = flow_batch(generator, 2)
    still = replace(batch, asked=batch.given[:, 1:])
    assert network(still).terms["latent"].abs().max() < 1e-12
    learnt = network(batch).terms["latent"]
    assert (learnt > 1e-3).all()
    judged = network.eval().latent_error(batch)
    torch.testing.assert_close(judged.float(), learnt.float(), rtol=1e-4, atol=0)


def test_a_forecast_is_incompressible_frame_by_frame(generator):
    model = Surrogate(box_network("shodh_moe").eval(), box_config("shodh_moe"), {})
    batch = flow_batch(generator, 2)
    future = model.forecast(batch.given, 3, batch.valid_mask)
    assert future.shape == (3, 3, 4, SIDE, SIDE, SIDE)
    for moment in future.unbind(1):
        assert divergence(moment[:, :3], CUBES).abs().max() < 1e-12
        assert (moment[:, :3][faces_of(batch) == 0] == 0).all()


def test_a_tokenizer_reconstructs_and_forecasts_nothing(generator):
    model = Surrogate(box_network("flow_tokenizer").eval(), box_config("flow_tokenizer"), {})
    batch = flow_batch(generator)
    frames = model.reconstruct(batch.given[:, 0], batch.valid_mask)
    torch.testing.assert_close(frames, model(batch).fields[:, 0])
    velocity = model.reconstruct(batch.given[:, 0, :3], batch.valid_mask)
    assert velocity.shape == (3, 3, SIDE, SIDE, SIDE)
    with pytest.raises(UserError, match="call reconstruct"):
        model.forecast(batch.given, 1)
    other = Surrogate(box_network("shodh_moe").eval(), box_config("shodh_moe"), {})
    with pytest.raises(UserError, match="does not reconstruct frames"):
        other.reconstruct(batch.given[:, 0])


@pytest.mark.parametrize("neighbourhood", [1, 3])
def test_samples_are_forecast_alike_in_any_company(neighbourhood, generator):
    network = box_network("shodh_moe", router={**SEMANTIC, "neighbourhood": neighbourhood}).eval()
    batch = flow_batch(generator, 2)
    alone = sample_of(batch, 1)
    torch.testing.assert_close(
        network(alone).fields, network(batch).fields[1:2], rtol=1e-4, atol=1e-5
    )


def test_an_oracle_routes_by_corpus_and_chance_by_trajectory(generator):
    batch = flow_batch(generator, 2)
    oracle = box_network("shodh_moe", router={**SEMANTIC, "by": "corpus"})(batch)
    assert [r.experts_BK[:, 0].tolist() for r in oracle.routing] == [[0, 1, 0]] * 2
    chance = box_network("shodh_moe", router={**SEMANTIC, "by": "random"})
    chosen = chance(batch).routing[0].experts_BK[:, 0]
    later = replace(batch, keys=tuple(key.replace("@0", "@7") for key in batch.keys))
    assert torch.equal(chance(later).routing[0].experts_BK[:, 0], chosen)
    others = [replace(batch, keys=tuple(f"{k}{n}@0" for k in "abc")) for n in range(12)]
    choices = [chance(other).routing[0].experts_BK[:, 0].tolist() for other in others]
    assert len(set(map(tuple, choices))) > 3


def test_activated_parameters_are_those_of_a_dense_twin():
    sparse = outline_model(box_config("shodh_moe", router={**SEMANTIC, "num_experts": 6}))
    dense = outline_model(box_config("shodh_moe", router={**SEMANTIC, "num_experts": 1}))
    gates = 2 * 5 * 32  # prototypes of five more experts in two blocks
    assert sparse.parameter_counts().activated == dense.parameter_counts().total + gates
    experts = next(m for m in dense.modules() if isinstance(m, Experts))
    size = sum(p.numel() for p in experts.parameters()) // len(experts)
    counts = sparse.parameter_counts()
    assert counts.total - counts.activated == 2 * 5 * size


@every_network
def test_work_counts_the_products_that_are_made(name, generator):
    one_expert = {"router": {**SEMANTIC, "num_experts": 1}} if name == "shodh_moe" else {}
    network = box_network(name, **one_expert).eval()
    batch = sample_of(flow_batch(generator, frames_of(name)), 0)
    # The counter does not see into attention's own kernels.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(batch)
    assert work_of(network.config).products == pytest.approx(counter.get_total_flops(), rel=0.01)


@every_network
def test_a_training_step_passes_nothing_back_through_a_frozen_encoder(name, generator):
    one_expert = {"router": {**SEMANTIC, "num_experts": 1}} if name == "shodh_moe" else {}
    network = box_network(name, **one_expert)
    batch = sample_of(flow_batch(generator, frames_of(name)), 0)
    network.fields_wanted = name != "shodh_moe"  # as the presets' objectives say
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        prediction = network(batch)
        prediction.terms.get("latent", prediction.fields).sum().backward()
    cost = cost_of(network.config, 1, 1, 1, False, 1)
    assert cost.flops_step == pytest.approx(counter.get_total_flops(), rel=0.01)
    learnt = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert cost.weight_bytes == 4 * sum(p.numel() for p in network.parameters())
    assert cost.gradient_bytes == 4 * learnt
    assert cost.optimiser_bytes == 12 * learnt  # float32 master and two moments
    unsharded = cost_of(network.config, 1, 1, 0, False, 1)
    optimiser = torch.optim.AdamW(p for p in network.parameters() if p.requires_grad)
    optimiser.step()
    moments = [v for state in optimiser.state.values() for v in state.values() if v.ndim]
    assert unsharded.optimiser_bytes == pytest.approx(4 * sum(v.numel() for v in moments), rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 2}, "u, v, w first; set channels to 3"),
        ({"asked_channels": 3}, "u, v, w first; set channels to 3"),
        ({"instance_norm": True}, "would move velocity on closed faces"),
        ({"resolution": 9}, "resolution=9 is not divisible by 2"),
        ({"resolution": 1024}, "a box has at most 512"),
        ({"dimensions": 2}, r"dimensions: Input should be 3 \(got 2\)"),
    ],
)
@every_network
def test_what_no_flow_is_made_of_is_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        box_config(name, **options)


def test_tokens_must_tile_the_latents():
    with pytest.raises(UserError, match="latents along a side by patch: 4 is not divisible by 3"):
        box_config("shodh_moe", patch=3)


def test_a_temperature_that_falls_is_refused_and_a_constant_one_is_the_routers():
    falling = {"start": 2.0, "decay": 0.99, "floor": 0.5}
    with pytest.raises(UserError, match=r"start=2.0 lies above floor=0.5: shodh_moe routes at one"):
        box_config("shodh_moe", router={**SEMANTIC, "temperature": falling})
    warm = {**SEMANTIC, "temperature": {"start": 3.0, "decay": 1.0, "floor": 3.0}}
    network = box_network("shodh_moe", router=warm)
    assert network.temperature == 3
    assert all(block.temperature == 3 for block in network.blocks)


def test_origins_say_where_walls_are_in_a_reconstruction_as_in_a_forecast(generator):
    batch = flow_batch(generator, 2)
    sides = dict.fromkeys(("left", "right", "bottom", "top", "front", "back"), "periodic")
    boundary = {**sides, "front": "no_slip", "back": "no_slip"}
    origins = (Origin(extent=(0.0, 1.0, 0.0, 1.0, 0.0, 1.0), boundary=boundary),) * 3
    models = {n: Surrogate(box_network(n).eval(), box_config(n), {}) for n in BOXES}
    frame = batch.given[:, -1]
    for said in ((), origins):
        walled = bool(said)
        same = models["flow_tokenizer"].reconstruct(frame, batch.valid_mask, said)
        future = models["shodh_moe"].forecast(batch.given, 1, batch.valid_mask, said)[:, 0]
        for fields in (same, future):
            assert bool((fields[:, 2, 0] == 0).all()) == walled
    assert len(models["shodh_moe"].route(batch.given, batch.valid_mask, origins)) == 2
    with pytest.raises(UserError, match="2 origins for 3 samples; give one of each or none"):
        models["flow_tokenizer"].reconstruct(frame, batch.valid_mask, origins[:2])


def test_too_few_channels_are_no_flow(generator):
    batch = flow_batch(generator)
    model = Surrogate(box_network("flow_tokenizer").eval(), box_config("flow_tokenizer"), {})
    with pytest.raises(UserError, match="3 <= C <= 4"):
        model.reconstruct(batch.given[:, 0, :2], batch.valid_mask)


def test_latents_of_what_is_not_asked_are_not_learnt(generator):
    batch = flow_batch(generator, 2)
    hidden = batch.asked_mask.clone()
    hidden[1] = 0
    latent = box_network("shodh_moe")(replace(batch, asked_mask=hidden)).terms["latent"]
    assert (latent > 0).tolist() == [True, False, True]
