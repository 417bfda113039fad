"""Shards of two corpora of flow in boxes at the size of a test: potentials that turn in time."""

from pathlib import Path

import numpy as np
import torch
from box_flows import CUBES, SIDE
from written import write_closed_forms

from data_shards.card import CorpusCard, Split
from data_shards.catalogue import load_card
from data_shards.trajectory import Trajectory
from foundation.physics.staggered import curl, harmonic_fields, open_edges, open_faces

CHANNEL, PORES = "open_channel_3d", "porous_3d"
COUNTS: dict[Split, int] = {"train": 4, "validation": 2, "test": 2}
FRAMES, DT_S = 20, 0.3


def write_boxes(folder: Path) -> Path:
    """All splits of both corpora in one folder."""
    for name in (CHANNEL, PORES):
        card = load_card(name).model_copy(update={"native_grid": (SIDE, SIDE, SIDE)})
        write_closed_forms(folder, card, COUNTS, _flow)
    return folder


def _flow(card: CorpusCard, number: int, seed: int) -> Trajectory:
    generator = torch.Generator().manual_seed(100 * seed + number)
    fluid = torch.ones(1, SIDE, SIDE, SIDE)
    if card.mask_as_channel:
        fluid[0, 2:5, 2:5, 2:5] = 0
    walls = torch.tensor([[0, int(card.name == CHANNEL), 0]])
    faces = open_faces(fluid, walls)
    one, other = torch.randn(2, 1, 3, SIDE, SIDE, SIDE, generator=generator)
    mean = harmonic_fields(fluid[0], CUBES, walls[0].bool().tolist())[:1].float()
    velocity = torch.cat(
        [
            mean + 0.3 * curl(open_edges(faces) * (one * np.cos(t) + other * np.sin(t)), CUBES)
            for t in DT_S * np.arange(FRAMES)
        ]
    )
    pressure = velocity.square().sum(1, keepdim=True) * fluid[:, None]
    fields = torch.cat([velocity, pressure], dim=1).numpy()
    extent = (0.0, 1.0, 0.0, 1.0, 0.0, 1.0)
    mask = fluid[0].numpy() if card.mask_as_channel else None
    parameters = {name: limits.low for name, limits in card.parameters.items()}
    boundary = card.boundary
    assert boundary is not None
    return Trajectory(fields, card.name, number, seed, DT_S, extent, boundary, parameters, mask)
