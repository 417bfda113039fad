"""Agreement with tensors computed by the published implementation."""

import json
from pathlib import Path

import pytest
import torch
from published_nano import published_nano
from safetensors import safe_open

from data_shards.stream.batch import Batch
from foundation.models.moe_pot import MoEPOT
from foundation.models.types import Prediction
from foundation.published.names import from_published

# The reference was computed in float32 by convolutions; ours sums in another order.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
AFTER_SCHEDULE = 10_000  # steps after which the temperature stands at its floor, 0.5


@pytest.fixture(scope="module")
def reference(golden: Path) -> dict[str, torch.Tensor]:
    with safe_open(golden / "moepot_reference_nano.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        tensors["config"] = json.loads(file.metadata()["config"])
    return tensors


@pytest.fixture(scope="module")
def model(reference: dict[str, torch.Tensor]) -> MoEPOT:
    model = MoEPOT(published_nano(reference["config"])).eval()
    weights = {k: v for k, v in reference.items() if not k.startswith("golden") and k != "config"}
    ours = from_published(weights) | {"training_step": torch.tensor(AFTER_SCHEDULE)}
    model.load_state_dict(ours)
    return model


def batch_of(fields: torch.Tensor) -> Batch:
    """Batch from the published axes (B, X, Y, T, C)."""
    fields = fields.permute(0, 3, 4, 1, 2).contiguous()
    batch, _, channels, rows, columns = fields.shape
    return Batch(
        fields,
        fields[:, :1],
        torch.ones(batch, channels),
        torch.ones(batch, 1, rows, columns),
        torch.zeros(batch, dtype=torch.int64),
        ("",) * batch,
    )


@pytest.fixture(scope="module")
def prediction(model: MoEPOT, reference: dict[str, torch.Tensor]) -> Prediction:
    with torch.no_grad():
        return model(batch_of(reference["golden.input"]))


def test_output_agrees_with_the_published_network(prediction, reference):
    ours = prediction.fields.permute(0, 3, 4, 1, 2)
    torch.testing.assert_close(ours, reference["golden.output"], **TOLERANCE)
    torch.testing.assert_close(prediction.class_logits, reference["golden.cls_logits"], **TOLERANCE)


@pytest.mark.parametrize("block", [0, 1])
def test_every_block_chooses_the_published_experts_with_the_published_weights(
    prediction, reference, block
):
    routing = prediction.routing[block]
    assert torch.equal(routing.experts_BK, reference[f"golden.block{block}.topk_index"])
    torch.testing.assert_close(
        routing.weights_BK, reference[f"golden.block{block}.topk_weight"], **TOLERANCE
    )


@pytest.mark.parametrize("block", [0, 1])
def test_every_block_gives_the_published_features(model, reference, block):
    outputs = []
    hook = model.blocks[block].register_forward_hook(lambda *args: outputs.append(args[2][0]))
    with torch.no_grad():
        model(batch_of(reference["golden.input"]))
    hook.remove()
    ours = outputs[0].permute(0, 3, 1, 2)
    torch.testing.assert_close(ours, reference[f"golden.block{block}.output"], **TOLERANCE)
