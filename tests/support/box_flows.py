"""Incompressible flows in small boxes, and the networks of flow at the size of a test."""

import torch
from torch import Tensor

from data_shards.stream.batch import Batch
from foundation.models.network import FieldNetwork
from foundation.models.registry import ModelConfig, build_model, read_model_config
from foundation.physics.staggered import curl, harmonic_fields, open_edges, open_faces

SIDE = 8
_AUTOENCODER = {"width": 4, "levels": 1, "latent_channels": 3}
BOXES = {
    "flow_tokenizer": {"autoencoder": _AUTOENCODER},
    "shodh_moe": {"autoencoder": _AUTOENCODER, "width": 16, "blocks": 2, "heads": 2},
}
# One expert of two for every token, by cosine to prototypes.
SEMANTIC = {
    "num_experts": 2,
    "top_k": 1,
    "unit": "token",
    "gate": "prototypes",
    "weights": "probability",
    "temperature": {"start": 1.0, "decay": 1.0, "floor": 1.0},
}
CUBES = (1.0, 1.0, 1.0)
WALLS = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]])  # across y in the second sample


def box_config(name: str, **options) -> ModelConfig:
    values = {"model_type": name, "resolution": SIDE, "channels": 4, **BOXES[name], **options}
    return read_model_config(values, "test")


def box_network(name: str, seed: int = 0, **options) -> FieldNetwork:
    return build_model(box_config(name, **options), seed)


def faces_of(batch: Batch) -> Tensor:
    """Open faces of `flow_batch`."""
    return open_faces(batch.valid_mask[:, 0], WALLS)


def flow_batch(generator: torch.Generator, frames: int = 1) -> Batch:
    """Three samples: an open box, one with walls, one with a solid; a pressure follows u, v, w."""
    fluid = torch.ones(3, 1, SIDE, SIDE, SIDE)
    fluid[2, 0, 2:5, 3:6, 1:4] = 0
    faces = open_faces(fluid[:, 0], WALLS)
    mean = torch.stack(
        [harmonic_fields(fluid[n, 0], CUBES, WALLS[n].bool().tolist())[0] for n in range(3)]
    ).float()
    moments = []
    for _ in range(frames + 1):
        potential = torch.randn(3, 3, SIDE, SIDE, SIDE, generator=generator)
        velocity = mean + 0.2 * curl(open_edges(faces) * potential, CUBES)
        pressure = torch.randn(3, 1, SIDE, SIDE, SIDE, generator=generator)
        moments.append(torch.cat([velocity, pressure], dim=1))
    fields = torch.stack(moments, dim=1)
    keys = ("open/a@0", "channel/b@0", "porous/c@0")
    ids = torch.tensor([0, 1, 2])
    return Batch(fields[:, :frames], fields[:, frames:], torch.ones(3, 4), fluid, ids, keys)
