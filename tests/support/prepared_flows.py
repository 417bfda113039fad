"""Prepared files of six corpora and a published network, drawn by numpy alone.

The authors' programs were run on exactly these; what they gave is in `tests/golden/authors.json`.
Nothing here depends on a release of torch, whose generators do.
"""

import argparse
import zlib
from pathlib import Path

import h5py
import numpy as np
import torch

from foundation.models.moe_pot import MoEPOTConfig
from foundation.published.published_config import published_args, published_shapes

FRAMES, ASKED, TRAJECTORIES = 14, 4, 3
# Cells of a side, channels of the file, and of those the ones that are scored.
FLOWS = {
    "fno_ns_1e-3": (16, 1, 1),
    "pdebench_cns_m0.1": (32, 4, 4),
    "pdebench_swe": (32, 1, 1),
    "pdebench_dr": (16, 2, 2),
    "cfdbench": (16, 3, 2),
    "pdearena_ns": (32, 3, 3),
}
CONFIG = MoEPOTConfig.model_validate(
    {
        "model_type": "moe_pot", "resolution": 32, "patch": 4, "width": 32, "blocks": 2, "heads": 4,
        "mlp_ratio": 1, "head_width": 8, "modes": 32, "num_classes": 6,
        "router": {"gate_norm": "batch", "num_experts": 16, "top_k": 4},
    }
)  # fmt: skip


def draw(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def flow(name: str, number: int) -> np.ndarray:
    """One trajectory as the preparation leaves it, (first axis, second axis, T, C), float32."""
    cells, channels, _ = FLOWS[name]
    rng = draw(f"{name}/{number}")
    x = 2 * np.pi * (np.arange(cells) + 0.5) / cells
    first, second, t = x[:, None, None, None], x[None, :, None, None], np.arange(FRAMES) / FRAMES
    field = np.zeros((cells, cells, FRAMES, channels))
    for wave in ((1, 0), (0, 1), (2, 1), (1, 3)):  # unlike along the two axes
        phase, speed = rng.uniform(0, 2 * np.pi, channels), rng.uniform(-2, 2, channels)
        size = rng.uniform(0.2, 1, channels)
        angle = wave[0] * first + wave[1] * second + phase + speed * t[None, None, :, None]
        field += size * np.sin(angle)
    field += rng.uniform(1, 2, channels) * 3
    if name == "cfdbench":
        field[..., 2] = obstacle(cells)[..., None]
    return field.astype(np.float32)


def obstacle(cells: int) -> np.ndarray:
    """A mask as the preparation leaves it: shares of the fluid at its sides."""
    mask = np.ones((cells, cells))
    mask[0], mask[-1], mask[:, 0] = 0.25, 0.625, 0.75
    mask[5:9, 4:8] = 0
    return mask


def write_flows(folder: Path) -> dict[str, Path]:
    """One file per corpus, (N, first axis, second axis, T, C)."""
    paths = {}
    for name in FLOWS:
        paths[name] = folder / f"{name}_test.hdf5"
        with h5py.File(paths[name], "w") as file:
            file["data"] = np.stack([flow(name, number) for number in range(TRAJECTORIES)])
    return paths


def training_batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ten frames and the next one, a sample of each corpus, laid out as the authors do it.

    Returns:
        (B, T, C, first axis, second axis) twice, on the network's grid, padded with ones.
    """
    rows = []
    for place, name in enumerate(FLOWS):
        field = torch.from_numpy(flow(name, (step + place) % TRAJECTORIES))
        start = (step + 2 * place) % (FRAMES - 10)
        frames = field[:, :, start : start + 11].permute(2, 3, 0, 1)
        side = CONFIG.resolution
        frames = torch.nn.functional.interpolate(frames, (side, side), mode="bilinear")
        padding = torch.ones(11, CONFIG.channels - frames.shape[1], side, side)
        rows.append(torch.cat([frames, padding], dim=1))
    both = torch.stack(rows)
    return both[:, :10], both[:, 10:]


def fingerprint(weights: dict[str, torch.Tensor]) -> dict[str, list[float]]:
    """Norm of every tensor of floats, and its product with fixed numbers, by published name."""
    found = {}
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            values = tensor.detach().double().numpy()
            probe = draw(f"probe/{name}").standard_normal(values.shape)
            found[name] = [float((values**2).sum() ** 0.5), float((values * probe).sum())]
    return found


def published_weights() -> dict[str, torch.Tensor]:
    """Weights of a network that keeps fields of order one at order one, by published name."""
    shapes = published_shapes(CONFIG)
    return {name: torch.from_numpy(_weight(name, shape)) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = draw(name)
    if name.endswith("num_batches_tracked"):
        return np.array(1000)
    if name.endswith("gamma"):
        return (2 ** np.linspace(-10, 10, shape[-1]))[None].astype(np.float32)
    noise = rng.standard_normal(shape)
    scale = 1.0 if len(shape) < 2 else np.prod(shape[1:]) ** -0.5
    if name.endswith(("running_var", "norm1.weight", "norm2.weight")):
        values = 1 + 0.1 * np.abs(noise)
    elif name.startswith("time_agg_layer.w"):
        values = noise / (shape[0] * shape[1] ** 0.5) * 3
    elif ".filter." in name:
        values = rng.uniform(size=shape) / shape[-1] ** 2
    else:
        values = (
            noise
            * (scale if len(shape) > 1 else 0.1)
            * (20 if name.startswith("out_layer.4") else 1)
        )
    return np.asarray(values, np.float32)


def write_published(path: Path, **changes: object) -> Path:
    """A `.pth` as the authors' training writes it."""
    args = argparse.Namespace(**published_args(CONFIG), **changes)
    torch.save({"model": published_weights(), "args": args, "optimizer": {}}, path)
    return path
