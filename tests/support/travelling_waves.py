"""Two small corpora of travelling waves, which a network can learn: shards out."""

from pathlib import Path

import numpy as np
from written import write_closed_forms

from data_shards.card import Channel, CorpusCard, Range
from data_shards.trajectory import Trajectory

CORPORA = ("toy_wave", "toy_duct")
FRAMES, RESOLUTION = 16, 32
_PERIODIC = dict.fromkeys(("left", "right", "bottom", "top"), "periodic")


def wave_card(name: str) -> CorpusCard:
    channels = ("u",) if name == "toy_wave" else ("u", "v")
    return CorpusCard(
        name=name,
        title=f"{name} for tests",
        version=1,
        pde="advection",
        equation="u_t + c u_x = 0",
        channels=tuple(Channel(name=c, unit="m/s") for c in channels),
        mask_as_channel=name == "toy_duct",
        frames=FRAMES,
        dt_s=0.1,
        native_grid=(RESOLUTION, RESOLUTION),
        boundary=_PERIODIC,
        parameters={"speed": Range(low=0, high=3, unit="m/s")},
        rollout_frames=4,
        splits={"train": 12, "validation": 3, "test": 3},
        generator="closed form",
        source="tests",
        license="Apache-2.0",
        citation="none",
    )


def wave(card: CorpusCard, index: int, seed: int) -> Trajectory:
    rng = np.random.default_rng([seed, index, len(card.channels)])
    speed, phase = rng.uniform(0.5, 2.0), rng.uniform(0, 2 * np.pi, len(card.channels))
    x = np.linspace(0, 2 * np.pi, RESOLUTION, endpoint=False)
    t = 0.1 * np.arange(FRAMES)
    argument = x[None, None, None] - speed * t[:, None, None, None] + phase[None, :, None, None]
    fields = np.broadcast_to(
        np.sin(argument + x[:, None]), (FRAMES, len(phase), RESOLUTION, RESOLUTION)
    ).astype(np.float32)
    mask = None
    if card.mask_as_channel:
        mask = np.ones((RESOLUTION, RESOLUTION), np.float32)
        mask[8:16, 8:16] = 0
        fields = fields * mask
    return Trajectory(
        fields, card.name, index, seed, 0.1, (0, 1, 0, 1), _PERIODIC, {"speed": speed}, mask
    )


def write_waves(folder: Path) -> Path:
    """All splits of both corpora in one folder."""
    for name in CORPORA:
        card = wave_card(name)
        write_closed_forms(folder, card, card.splits, wave)
    return folder
