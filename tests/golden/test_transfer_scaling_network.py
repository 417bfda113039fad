"""Agreement with the program of the transfer-scaling study: its network and its normalisation.

The program is no dependency; what it computed stands beside this file (README.md).
"""

from pathlib import Path

import pytest
import torch
from architectures import batch_of
from safetensors.torch import load_file

from foundation.models.fno import FNO, FNOConfig
from foundation.models.framing import framed, measured_scales
from foundation.models.registry import outline_model

SLOTS = ("source", "k11", "k22", "k12")
# float32: the same sums of a few dozen numbers, in another order
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return load_file(Path(__file__).with_name("transfer_scaling_network.safetensors"))


def given(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sources and constant channels (B, 1, 4, H, W), physical units."""
    source, constants = tensors["fields"][:, :1], tensors["tensor"][:, :, None, None]
    return torch.cat([source, constants.expand(-1, -1, 8, 8)], dim=1)[:, None]


def config(tensors: dict[str, torch.Tensor], **options) -> FNOConfig:
    scales = dict(zip(SLOTS, tensors["scales"].tolist(), strict=False))
    values = {
        "resolution": 8,
        "channels": 4,
        "asked_channels": 1,
        "context_frames": 1,
        "width": 3,
        "modes": 3,
        "projection": 6,
        "places": False,
        "slots": SLOTS,
        "scales": scales,
        **options,
    }
    return FNOConfig(**values)


def ours(published: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Published weights under our names and in our order of axes."""
    names = {"fc0": "lift", "fc1": "hidden", "fc2": "project"}
    weights = {
        f"{name}.{part}": published[f"weights.{theirs}.{part}"]
        for theirs, name in names.items()
        for part in ("weight", "bias")
    }
    for layer in range(4):
        local, spectral = f"weights.ws.{layer}", f"weights.sp_convs.{layer}"
        weights[f"layers.{layer}.local.weight"] = published[f"{local}.weight"][:, :, 0]
        weights[f"layers.{layer}.local.bias"] = published[f"{local}.bias"]
        # (in, out, rows from 0 on and then negative ones, columns, 2) -> 2, modes, in, out
        both = torch.cat([published[f"{spectral}.weights{sign}"] for sign in (1, 2)], dim=2)
        weights[f"layers.{layer}.spectral.weight"] = both.permute(4, 2, 3, 0, 1).flatten(1, 2)
    return weights


def test_medians_of_samples_are_the_published_scales(tensors):
    found = measured_scales(given(tensors), SLOTS)
    published = tensors["scales"].tolist()  # then come those of the solution and of the domain
    for slot, scale in zip(SLOTS, published, strict=False):
        assert found.root[slot] == pytest.approx(scale, rel=1e-6)


def test_normalised_inputs_are_the_published_ones(tensors):
    inputs = framed(given(tensors), config(tensors)).inputs[:, 0]
    torch.testing.assert_close(inputs, tensors["inputs"], rtol=1e-6, atol=0)  # float32
    assert tensors["inputs"].abs().amax((0, 2, 3)).min() > 0


def test_the_same_weights_solve_as_the_published_network(tensors):
    network = FNO(config(tensors)).eval()
    network.load_state_dict(ours(tensors))
    with torch.no_grad():
        found = network(batch_of(given(tensors))).fields[:, 0]
    torch.testing.assert_close(found, tensors["output"], **TOLERANCE)
    assert tensors["output"].std() > 100 * TOLERANCE["atol"]


def test_places_are_two_more_channels_and_nothing_else(tensors):
    seen, blind = (
        outline_model(config(tensors, places=places)).parameter_counts().total
        for places in (True, False)
    )
    assert seen - blind == 2 * 3


@pytest.mark.parametrize(
    ("width", "modes", "total"),
    [
        (16, 4, 67_281),
        (16, 16, 1_050_321),
        (32, 16, 4_200_865),
        (64, 16, 16_802_625),
        (64, 32, 67_134_273),
        (128, 32, 268_535_425),
    ],
)
def test_sizes_of_the_study_have_its_parameters(tensors, width, modes, total):
    sizes = {"resolution": 128, "width": width, "modes": modes, "projection": 2 * width}
    network = outline_model(config(tensors, **sizes))
    assert network.parameter_counts().total == total
    d, m, given_channels = width, modes, 4
    lift, layers = (given_channels + 1) * d, 16 * d**2 * m**2 + 4 * (d**2 + d)
    assert total == lift + layers + 2 * d**2 + 2 * d + 2 * d + 1
