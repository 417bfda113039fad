"""Laws of the network as a whole."""

import pytest
import torch

from data_shards.batch import Batch
from foundation.models.registry import build_model, read_model_config
from foundation.moe.router import TemperatureSchedule

SETTINGS = {"resolution": 16, "patch": 4, "width": 16, "blocks": 2, "heads": 2, "head_width": 8}


def network(**options):
    return build_model(read_model_config({**SETTINGS, **options}, "test"), seed=0)


def batch(generator: torch.Generator, count: int = 5) -> Batch:
    fields = torch.randn(count, 10, 4, 16, 16, generator=generator)
    ids = torch.zeros(count, dtype=torch.int64)
    masks = torch.ones(count, 4), torch.ones(count, 1, 16, 16)
    return Batch(fields, fields[:, :1], *masks, ids, ("",) * count)


def part(whole: Batch, rows) -> Batch:
    tensors = (whole.fields, whole.target, whole.channel_mask, whole.valid_mask, whole.corpus_id)
    return Batch(*(t[rows] for t in tensors), tuple(whole.keys[: len(whole.fields[rows])]))


@pytest.mark.parametrize("target", ["frame", "increment"])
def test_a_sample_is_forecast_alike_in_any_batch(generator, target):
    model = network(target=target, instance_norm=True)
    whole = batch(generator)
    order = torch.tensor([3, 1, 4])
    together, apart = model(whole), model(part(whole, order))
    torch.testing.assert_close(apart.fields, together.fields[order], rtol=1e-4, atol=1e-5)
    for few, all_ in zip(apart.routing, together.routing, strict=True):
        assert torch.equal(few.experts_BK, all_.experts_BK[order])


def test_normalised_increments_are_equivariant_to_units(generator):
    """Metres or feet, the forecast of all channels scales and shifts with the context."""
    model = network(target="increment", instance_norm=True)
    torch.nn.init.zeros_(model.scale_features.weight)
    torch.nn.init.zeros_(model.shift_features.weight)
    whole = batch(generator)
    scaled = part(whole, slice(None))
    scaled = Batch(7 * whole.fields + 3, *_rest(whole))
    torch.testing.assert_close(
        model(scaled).fields, 7 * model(whole).fields + 3, rtol=1e-3, atol=1e-3
    )


def _rest(b: Batch):
    return b.target, b.channel_mask, b.valid_mask, b.corpus_id, b.keys


def test_a_context_at_rest_stays_at_rest_under_increments(generator):
    model = network(target="increment", instance_norm=True)
    still = batch(generator)
    frozen = Batch(still.fields[:, :1].expand(-1, 10, -1, -1, -1).contiguous(), *_rest(still))
    change = model(frozen).fields - frozen.fields[:, -1:]
    assert change.abs().max() < 1e-4  # 1e-6 of scale floor times outputs of order ten


def test_recomputed_blocks_give_the_same_gradients_and_statistics(generator):
    whole = batch(generator)
    results = []
    for recompute in (False, True):
        model = network(router={"gate_norm": "batch"})
        model.recompute_blocks = recompute
        model(whole).fields.square().sum().backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        results.append((gradients, dict(model.named_buffers())))
    for plain, again in zip(*results, strict=True):
        assert plain.keys() == again.keys()
        for name, tensor in plain.items():
            torch.testing.assert_close(again[name], tensor, msg=name)


@pytest.mark.parametrize("step", [0, 10, 137, 500])
def test_temperature_is_a_function_of_the_step_that_travels_with_the_weights(step):
    model = network()
    model.training_step.fill_(step)
    copy = network()
    copy.load_state_dict(model.state_dict())
    assert float(copy.temperature()) == pytest.approx(TemperatureSchedule().at(step), rel=1e-5)


def test_forward_changes_no_state_under_the_default_gate(generator):
    model = network().train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    model(batch(generator))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_bf16_weights_take_float32_batches_and_give_float32_fields(generator):
    model = network(instance_norm=True)
    whole = batch(generator)
    expected = model(whole).fields
    found = model.bfloat16()(whole).fields
    assert found.dtype == torch.float32
    # 8 bits of mantissa through two blocks, fields of order one
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)
