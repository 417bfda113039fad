"""What a GPU runs, checked without one, on torch's `meta` device: shapes and types, no numbers.

There all that is not for a CPU alone is taken, and whatever would read a number raises: a pass
that comes through waits for nothing on the host and can be captured in a CUDA graph.
"""

from collections import Counter
from typing import Any

import pytest
import torch

from data_shards.stream.batch import Batch
from foundation.models.moe_pot import MoEPOTConfig
from foundation.models.registry import build_model
from foundation.moe.router import RouterConfig
from foundation.train.losses import losses_of
from foundation.train.objectives import LossConfig

SIDE, SAMPLES = 32, 3
CONFIG = MoEPOTConfig(resolution=SIDE, width=32, blocks=2, heads=2, head_width=8, context_frames=3)


def network_and_batch(
    dtype: torch.dtype = torch.bfloat16, **values: Any
) -> tuple[torch.nn.Module, Batch]:
    config = CONFIG.model_copy(update=values)
    fields = torch.zeros(SAMPLES, config.context_frames, config.channels, SIDE, SIDE)
    masks = torch.ones(SAMPLES, config.channels), torch.ones(SAMPLES, 1, SIDE, SIDE)
    corpora = torch.zeros(SAMPLES, dtype=torch.int64)
    batch = Batch(fields, fields[:, :1], *masks, corpora, ("",) * SAMPLES)
    return build_model(config, seed=0).to("meta", dtype), batch.to("meta")


@pytest.mark.parametrize("unit", ["sample", "token"])
def test_a_forecast_waits_for_no_number(unit):
    model, batch = network_and_batch(router=RouterConfig(unit=unit), instance_norm=True)
    with torch.inference_mode():
        prediction = model.eval()(batch)
    assert prediction.fields.shape == (SAMPLES, 1, CONFIG.channels, SIDE, SIDE)
    assert prediction.fields.dtype == torch.float32


def test_neither_does_one_in_float32():
    model, batch = network_and_batch(torch.float32, patch=4)  # tokens enough for a batched product
    with torch.no_grad():
        assert model.eval()(batch).fields.shape == (SAMPLES, 1, CONFIG.channels, SIDE, SIDE)


def test_neither_does_a_training_pass():
    model, batch = network_and_batch()
    losses_of(model(batch), batch, LossConfig(), lambda x: x).total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    unreached = {name.partition(".")[0] for name, g in gradients.items() if g is None}
    assert unreached == {"classify"}  # the auxiliary head has no loss by default
    assert {g.dtype for g in gradients.values() if g is not None} == {torch.bfloat16}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_compiled_it_is_one_graph_with_nothing_on_a_cpu(dtype):
    """Matrices of the transforms among them; a CUDA graph could not replay what a CPU makes."""
    model, batch = network_and_batch(dtype, patch=4)
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    with torch.no_grad():
        torch.compile(model.eval(), backend=keep)(batch)
    values = [node.meta.get("example_value") for graph in graphs for node in graph.graph.nodes]
    devices = Counter(value.device.type for value in values if isinstance(value, torch.Tensor))
    assert len(graphs) == 1
    assert devices.keys() == {"meta"}
    assert devices["meta"] > 100


def test_what_reads_a_number_would_be_found():
    """As routes from weights do, whose number only the device knows."""
    with pytest.raises((NotImplementedError, RuntimeError)):
        torch.zeros(3, device="meta").nonzero()
    with pytest.raises(RuntimeError):
        torch.zeros(3, device="meta").tolist()
