"""Initial weights of the shipped presets, in small, are those that recorded runs started from."""

from hashlib import sha256

import pytest
import torch

from foundation.models.registry import build_model
from foundation.train.config import load_run_config

_TRANSFORMER = ("resolution=32", "width=32", "blocks=2", "heads=4", "head_width=8")
SMALLER = {
    "moe_pot": _TRANSFORMER,
    "dpot": _TRANSFORMER,
    "fno": ("resolution=32", "width=8", "modes=4"),
    "unet": ("resolution=32", "width=8"),
}
# Drawn through logarithms and roots, whose last bit is a processor's own.
ROUNDED = ("position", "temporal.weight", "temporal.gamma")
# Preset -> digest of all else, and the sum of the sizes of those that are random.
RECORDED = {
    "debug": ("4e1e6076ee3831ce", 152.698200),
    "dpot_huge": ("2a28486bcec211cc", 152.698200),
    "dpot_large": ("2a28486bcec211cc", 152.698200),
    "dpot_medium": ("2a28486bcec211cc", 152.698200),
    "dpot_small": ("e6e37d23cd8e9d3d", 152.698200),
    "dpot_tiny": ("e6e37d23cd8e9d3d", 152.698200),
    "medium": ("fe70d461f5e69991", 152.698200),
    "medium_plus": ("11bdf9b29f996c0d", 152.698200),
    "nano": ("37c78de5cd93fbbf", 176.078156),
    "nano_dpot": ("610a73eb9ebb1450", 176.078156),
    "nano_fno": ("5bf8610cc2d32136", 0.000000),
    "nano_unet": ("aad546cf5c2a0d21", 0.000000),
    "small": ("5d1a8278bfe0536c", 152.698200),
    "small_plus": ("361478b99d400029", 152.698200),
    "tiny": ("5d1a8278bfe0536c", 152.698200),
    "tiny_plus": ("361478b99d400029", 152.698200),
}


def small(preset: str) -> dict[str, torch.Tensor]:
    model_type = load_run_config(preset, []).model.model_type
    overrides = [f"model.{size}" for size in SMALLER[model_type]]
    return build_model(load_run_config(preset, overrides).model, seed=3).state_dict()


def digest(tensors: dict[str, torch.Tensor]) -> str:
    parts = (f"{name} {t.dtype}".encode() + t.numpy().tobytes() for name, t in tensors.items())
    return sha256(b"".join(parts)).hexdigest()[:16]


def total(tensors: dict[str, torch.Tensor]) -> float:
    random = (tensors[name] for name in ROUNDED[:2] if name in tensors)
    return float(sum(tensor.double().abs().sum() for tensor in random))


@pytest.mark.parametrize("preset", RECORDED)
def test_a_preset_starts_where_it_always_did(preset):
    tensors = small(preset)
    sizes = total(tensors)
    exact = {name: tensor for name, tensor in tensors.items() if name not in ROUNDED}
    assert digest(exact) == RECORDED[preset][0]
    assert sizes == pytest.approx(RECORDED[preset][1], rel=1e-6)  # float32, each to 1e-7
