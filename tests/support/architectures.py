"""Every architecture at the size of a test, and batches for it."""

import torch

from data_shards.stream.batch import Batch
from foundation.models.network import FieldNetwork
from foundation.models.registry import ModelConfig, build_model, read_model_config

RESOLUTION = 16
_TRANSFORMER = {"patch": 4, "width": 16, "blocks": 2, "heads": 2, "head_width": 8}
SIZES = {
    "moe_pot": _TRANSFORMER,
    "dpot": {**_TRANSFORMER, "mlp_ratio": 2},
    "fno": {"width": 6, "layers": 3, "modes": 4, "projection": 16},
    "moe_fno": {
        "width": 6,
        "layers": 3,
        "modes": 4,
        "routed_modes": 2,
        "projection": 16,
        "router": {"num_experts": 4, "top_k": 2},
    },
    "unet": {"width": 8, "levels": 3, "norm_groups": 2},
}
# Of ground states: no frames, no units and no channels to choose, so laws of their own.
OF_STATES = ("pg_moe",)
DENSE = tuple(name for name in SIZES if not name.startswith("moe_"))


def config_of(name: str, **options) -> ModelConfig:
    values = {"model_type": name, "resolution": RESOLUTION, **SIZES[name], **options}
    return read_model_config(values, "test")


def network_of(name: str, seed: int = 0, **options) -> FieldNetwork:
    return build_model(config_of(name, **options), seed)


def batch_of(fields: torch.Tensor, frames: int = 1) -> Batch:
    """A batch from a context (B, T, C, *S), all of it real."""
    count, _, channels, *grid = fields.shape
    masks = torch.ones(count, channels), torch.ones(count, 1, *grid)
    ids = torch.zeros(count, dtype=torch.int64)
    return Batch(fields, fields[:, :frames], *masks, ids, ("",) * count)


def random_batch(generator: torch.Generator, count: int = 5, resolution: int = RESOLUTION) -> Batch:
    return batch_of(torch.randn(count, 10, 4, resolution, resolution, generator=generator))


def half_masked_batch() -> Batch:
    """One channel of two is real, one cell of two is fluid; what is asked is 3 and 4 there."""
    target = torch.tensor([3.0, 4.0]).view(1, 1, 1, 1, 2).repeat(1, 1, 2, 1, 1)
    asked_mask = torch.tensor([[1.0, 0.0]])
    valid = torch.tensor([[[[1.0, 0.0]]]])
    ids = torch.zeros(1, dtype=torch.int64)
    return Batch(target, target, asked_mask, valid, ids, ("",))
