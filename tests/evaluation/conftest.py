"""Small hand-made shards, built once per session."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Provenance
from data_shards.shards.writer import write_corpus
from data_shards.trajectory import Trajectory
from foundation import Surrogate
from foundation.models.registry import build_model, read_model_config

COUNTS = {"fno_ns_1e-5": 5, "pdebench_cns_m0.1": 3, "cfdbench": 3}
SIDE = 8
SIZES = {
    "resolution": 16,
    "patch": 4,
    "width": 16,
    "blocks": 1,
    "heads": 2,
    "modes": 2,
    "head_width": 8,
    "router": {"num_experts": 4, "top_k": 2},
}


def _wave(name: str, index: int, growth: float = 0.05) -> Trajectory:
    """A smooth standing wave whose amplitude grows by `growth` per frame."""
    card = load_card(name)
    y, x = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    t = np.arange(card.frames)[:, None, None, None]
    c = np.arange(1, 1 + len(card.channels))[None, :, None, None]
    wave = 2 + np.sin(2 * np.pi * (c * x + y) / SIDE + index)
    mask = np.ones((SIDE, SIDE), np.float32)
    if card.mask_as_channel:
        mask[3:5, 3:5] = 0
    fields = ((1 + growth * t) * wave * mask).astype(np.float32)
    sides = dict.fromkeys(("left", "right", "bottom", "top"), "periodic")
    return Trajectory(fields, name, index, 0, 1.0, (0.0, 1.0, 0.0, 1.0), sides, mask=mask)


def _write(folder: Path, name: str, split: str, count: int) -> None:
    write_corpus(
        lambda first: (_wave(name, i) for i in range(first, count)),
        load_card(name),
        split=split,
        out=folder,
        count=count,
        provenance=Provenance(producer="standing wave", version=1, seed=0),
    )


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test splits of three corpora: one channel, four channels, an obstacle."""
    folder = tmp_path_factory.mktemp("shards")
    for name, count in COUNTS.items():
        _write(folder, name, "test", count)
    return folder


@pytest.fixture(scope="session")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora of one channel to learn from, of which one has no split for validation."""
    folder = tmp_path_factory.mktemp("learnable")
    for name in ("fno_ns_1e-4", "fno_ns_1e-5"):
        _write(folder, name, "train", 6)
        _write(folder, name, "test", 2)
    _write(folder, "fno_ns_1e-4", "validation", 2)
    return folder


@pytest.fixture
def corpus(shards: Path) -> Callable[[str], ShardedCorpus]:
    """Open one of the test splits by the name of its corpus."""
    return lambda name: ShardedCorpus.open(shards, name, "test")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture of experts with fresh weights."""
    folder = tmp_path_factory.mktemp("checkpoints") / "seedling"
    config = read_model_config(SIZES, "test")
    Surrogate(build_model(config, seed=0), config, {}).save_pretrained(folder)
    return folder
