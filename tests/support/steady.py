"""Steady corpora at the size of a test, and a network that answers them."""

from pathlib import Path

from architectures import config_of

from data_shards.card import Split
from data_shards.catalogue import load_card
from data_shards.generate.driver import generate_corpus
from data_shards.shards.manifest import Provenance
from data_shards.shards.writer import write_corpus
from foundation.models.registry import ModelConfig

SLOTS = ("source", "k11", "k22", "k12")
MIXED = (*SLOTS, "v1", "v2", "omega")
COUNTS: dict[Split, int] = {"train": 8, "validation": 2, "test": 3}
SIDE = 16


def write_steady(folder: Path, *corpora: str) -> Path:
    """Shards of all splits of some steady corpora."""
    for name in corpora:
        card = load_card(name)
        for split, count in COUNTS.items():
            write_corpus(
                lambda first, c=card, s=split, n=count: generate_corpus(
                    c, split=s, count=n, resolution=SIDE, seed=0, first=first
                ),
                card,
                split=split,
                out=folder,
                count=count,
                provenance=Provenance(producer="elliptic", version=1, seed=0, grid=(SIDE, SIDE)),
            )
    return folder


def steady_config(name: str = "fno", slots: tuple[str, ...] = SLOTS, **options) -> ModelConfig:
    values = {"resolution": SIDE, "channels": len(slots), "slots": slots, "asked_channels": 1}
    return config_of(name, **values, context_frames=1, out_frames=1, **options)
