"""Laws of the mixture of experts as a whole network; those of every architecture stand beside."""

import pytest
import torch
from architectures import batch_of, network_of, random_batch

from foundation.moe.router import TemperatureSchedule


def network(**options):
    return network_of("moe_pot", **options)


def test_a_sample_is_routed_alike_in_any_batch(generator):
    model = network()
    fields = random_batch(generator).given
    order = torch.tensor([3, 1, 4])
    together, apart = model(batch_of(fields)), model(batch_of(fields[order]))
    for few, all_ in zip(apart.routing, together.routing, strict=True):
        assert torch.equal(few.experts_BK, all_.experts_BK[order])


def test_recomputed_blocks_leave_the_batch_gates_statistics_alone(generator):
    whole = random_batch(generator)
    buffers = []
    for recompute in (False, True):
        model = network(router={"gate_norm": "batch"})
        model.recompute_blocks = recompute
        model(whole).fields.square().sum().backward()
        buffers.append(dict(model.named_buffers()))
    for name, tensor in buffers[0].items():
        torch.testing.assert_close(buffers[1][name], tensor, msg=name)


@pytest.mark.parametrize("step", [0, 10, 137, 500])
def test_temperature_is_a_function_of_the_step_that_travels_with_the_weights(step):
    model = network()
    model.at_step(step)
    copy = network()
    copy.load_state_dict(model.state_dict())
    assert copy.temperature == TemperatureSchedule().at(step)
    # a power in float32
    assert float(copy.softmax_temperature()) == pytest.approx(copy.temperature, rel=1e-5)


def test_forward_changes_no_state_under_the_default_gate(generator):
    model = network().train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    model(random_batch(generator))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_parameters_stand_in_the_order_of_recorded_optimiser_states():
    """ZeRO's flat state knows no names: another order would load as nonsense, silently."""
    names = [name for name, _ in network(instance_norm=True).named_parameters()]
    parts = list(dict.fromkeys(name.partition(".")[0] for name in names))
    assert parts == [
        *("position", "embed", "temporal", "scale_features", "shift_features"),
        *("blocks", "head", "classify"),
    ]
    block = list(dict.fromkeys(n.split(".")[2] for n in names if n.startswith("blocks.0.")))
    assert block == ["norm_space", "fourier", "norm_moe", "moe"]
