"""Agreement with tensors computed by the published implementation of DPOT."""

import json
from pathlib import Path

import pytest
import torch
from architectures import batch_of
from safetensors import safe_open

from foundation.models.dpot import DPOT, DPOTConfig
from foundation.published.names import from_published, published_type

# The reference was computed in float32 by convolutions; ours sums in another order.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def reference(golden: Path) -> dict[str, torch.Tensor]:
    with safe_open(golden / "dpot_reference_nano.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        tensors["config"] = json.loads(file.metadata()["config"])
    return tensors


@pytest.fixture(scope="module")
def weights(reference: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v for k, v in reference.items() if not k.startswith("golden") and k != "config"}


@pytest.fixture(scope="module")
def model(reference: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]) -> DPOT:
    c = reference["config"]
    config = DPOTConfig(
        resolution=c["img_size"],
        patch=c["patch_size"],
        width=c["embed_dim"],
        mlp_ratio=c["mlp_ratio"],
        blocks=c["depth"],
        heads=c["n_blocks"],
        modes=c["modes"],
        head_width=c["out_layer_dim"],
        num_classes=c["n_cls"],
    )
    model = DPOT(config).eval()
    model.load_state_dict(from_published(weights))
    return model


def test_output_agrees_with_the_published_network(model, reference):
    with torch.no_grad():
        prediction = model(batch_of(reference["golden.input"].permute(0, 3, 4, 1, 2)))
    ours = prediction.fields.permute(0, 3, 4, 1, 2)
    torch.testing.assert_close(ours, reference["golden.output"], **TOLERANCE)
    torch.testing.assert_close(prediction.class_logits, reference["golden.cls_logits"], **TOLERANCE)
    assert prediction.routing == ()


def test_all_published_parameters_are_ours_and_no_more(model, weights):
    published = sum(tensor.numel() for tensor in weights.values())
    assert model.parameter_counts() == (published, published)


def test_names_tell_which_network_was_published(weights):
    assert published_type(weights) == "dpot"
    assert published_type(["pos_embed", "blocks.0.MoE.gating.gate.0.weight"]) == "moe_pot"


def test_a_foreign_name_is_not_passed_over(weights):
    with pytest.raises(KeyError, match="extra"):
        from_published({**weights, "blocks.0.extra": torch.zeros(1)})
