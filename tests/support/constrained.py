"""Networks under an equation at the size of a test, and batches for them."""

import torch

from data_shards.stream.batch import Batch
from data_shards.stream.origin import Origin
from foundation.models.network import FieldNetwork
from foundation.models.registry import ModelConfig, build_model, read_model_config

SIDE = 16
SIZES = {
    "fno": {"width": 6, "layers": 2, "modes": 4, "projection": 16},
    "moe_pot": {"patch": 4, "width": 16, "blocks": 1, "heads": 2, "head_width": 8},
    "dpot": {"patch": 4, "width": 16, "blocks": 1, "heads": 2, "head_width": 8},
    "unet": {"width": 8, "levels": 2, "norm_groups": 2},
}
ORIGINS = {
    "burgers": Origin(0.05, (0, 1, 0, 1), {"advection": 1.0, "viscosity": 0.02}),
    "vorticity": Origin(0.05, (0, 1, 0, 1), {"viscosity": 1e-3, "forcing": 0.1}),
    "diffusion_sorption": Origin(
        5.0,
        (0, 1, 0, 1),
        {
            "diffusion": 5e-4,
            "porosity": 0.29,
            "density": 2880.0,
            "freundlich_k": 3.5e-4,
            "freundlich_n": 0.874,
        },
    ),
}
INITIAL = {"burgers": "exact", "vorticity": "exact", "diffusion_sorption": "rows"}
MIXTURES = {
    "burgers": {"boxes": [1, 4]},
    "vorticity": {"boxes": [1, 2, 2]},
    "diffusion_sorption": {"boxes": [1, 4]},
}


def constrained_config(
    name: str = "fno", equation: str = "burgers", enforced: str = "mixture", **options: object
) -> ModelConfig:
    boxes = MIXTURES[equation] if enforced == "mixture" else {}
    settings = {
        "equation": equation,
        "enforced": enforced,
        "basis": 5,
        "initial": INITIAL[equation],
    }
    return read_model_config(
        {
            "model_type": name,
            "resolution": SIDE,
            "channels": 1,
            "context_frames": 1,
            "out_frames": 4 if equation == "vorticity" else SIDE - 1,
            "constraint": {**settings, **boxes, "solver": {"tolerance": 1e-8}, **options},
            **SIZES[name],
        },
        "test",
    )


def constrained_network(*words: str, seed: int = 0, **options: object) -> FieldNetwork:
    return build_model(constrained_config(*words, **options), seed)


def first_frames(equation: str, count: int = 3, seed: int = 0) -> Batch:
    """Smooth initial frames with their origins; what is asked is not the truth."""
    generator = torch.Generator().manual_seed(seed)
    height = SIDE if equation == "vorticity" else 1
    at = torch.arange(SIDE) / SIDE * 2 * torch.pi
    a, b = torch.rand(2, count, 1, 1, 1, 1, generator=generator)
    given = a * at.sin() + b * (at + torch.arange(height)[:, None] / SIDE * 2 * torch.pi).cos()
    if equation == "diffusion_sorption":
        given = 0.1 + 0.05 * given
    frames = 4 if equation == "vorticity" else SIDE - 1
    return Batch(
        given=given,
        asked=given.expand(-1, frames, -1, -1, -1),
        asked_mask=torch.ones(count, 1),
        valid_mask=torch.ones(count, 1, height, SIDE),
        corpus_id=torch.zeros(count, dtype=torch.int64),
        keys=("",) * count,
        origins=(ORIGINS[equation],) * count,
    )
