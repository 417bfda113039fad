"""Steady corpora at the size of a test, and a network that answers them."""

from pathlib import Path

from architectures import config_of
from written import write_generated

from data_shards.card import Split
from foundation.models.registry import ModelConfig

SLOTS = ("source", "k11", "k22", "k12")
MIXED = (*SLOTS, "v1", "v2", "omega")
COUNTS: dict[Split, int] = {"train": 8, "validation": 2, "test": 3}
SIDE = 16


def write_steady(folder: Path, *corpora: str) -> Path:
    """Shards of all splits of some steady corpora."""
    for name in corpora:
        write_generated(folder, name, COUNTS, SIDE)
    return folder


def steady_config(name: str = "fno", slots: tuple[str, ...] = SLOTS, **options) -> ModelConfig:
    values = {"resolution": SIDE, "channels": len(slots), "slots": slots, "asked_channels": 1}
    return config_of(name, **values, context_frames=1, out_frames=1, **options)
