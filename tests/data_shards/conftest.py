"""Small hand-made corpora: cards, trajectories, and a folder of shards built once per session."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_shards.card import Channel, CorpusCard, Range
from data_shards.shards.manifest import CorpusEntry, Provenance
from data_shards.shards.writer import write_corpus
from data_shards.trajectory import Trajectory

PERIODIC = dict.fromkeys(("left", "right", "bottom", "top"), "periodic")
# name -> (channels, frames, native resolution, trajectories)
TOYS = {"toy_flow": (1, 14, 8, 7), "toy_gas": (4, 12, 16, 5), "toy_solid": (2, 13, 8, 3)}


def make_card(name: str) -> CorpusCard:
    channels, frames, resolution, count = TOYS[name]
    return CorpusCard(
        name=name,
        title=f"{name} for tests",
        version=1,
        pde="none",
        equation="random numbers",
        channels=tuple(Channel(name=f"c{i}", unit="m/s") for i in range(channels)),
        mask_as_channel=name == "toy_solid",
        frames=frames,
        dt_s=0.5,
        native_grid=(resolution, resolution),
        boundary=PERIODIC,
        parameters={"viscosity": Range(low=0, high=1, unit="m2/s")},
        context_frames=10,
        rollout_frames=2,
        splits={"train": count, "test": 2},
        generator="random",
        source="tests",
        license="Apache-2.0",
        citation="none",
    )


def make_trajectory(card: CorpusCard, index: int, seed: int = 0) -> Trajectory:
    rng = np.random.default_rng([seed, index, len(card.channels)])
    size = card.native_grid[-1]
    shape = (card.frames, len(card.channels), size, size)
    # A large offset in every other channel: what float32 sums would get wrong.
    offset = 1000.0 * (np.arange(shape[1]) % 2)[:, None, None]
    mask = None
    if card.mask_as_channel:
        mask = np.ones((size, size), np.float32)
        mask[2:4, index : index + 3] = 0
    return Trajectory(
        fields=(rng.normal(size=shape) + offset).astype(np.float32),
        corpus=card.name,
        index=index,
        seed=seed,
        dt_s=0.5,
        extent=(0.0, 1.0, -1.0, 1.0),
        boundary=PERIODIC,
        parameters={"viscosity": 0.1 * (index + 1), **({"kind": "a"} if index % 2 else {})},
        mask=mask,
    )


@pytest.fixture(scope="session")
def toy_card() -> Callable[[str], CorpusCard]:
    return make_card


@pytest.fixture(scope="session")
def toy_trajectories() -> Callable[..., list[Trajectory]]:
    """(name, count=all, seed=0) -> trajectories of a toy corpus."""

    def trajectories(name: str, count: int | None = None, seed: int = 0) -> list[Trajectory]:
        card = make_card(name)
        count = TOYS[name][3] if count is None else count
        return [make_trajectory(card, index, seed) for index in range(count)]

    return trajectories


@pytest.fixture(scope="session")
def write_toy(toy_trajectories) -> Callable[..., CorpusEntry]:
    """(out, name, count=all, seed=0, **options of write_corpus) -> entry."""

    def write(
        out: Path, name: str, count: int | None = None, seed: int = 0, **options
    ) -> CorpusEntry:
        trajectories = toy_trajectories(name, count, seed)
        settings = {
            "split": "train",
            "count": len(trajectories),
            "provenance": Provenance(producer="random", version=1, seed=seed),
            "shard_bytes": 40_000,  # two or three trajectories in a shard
            **options,
        }
        return write_corpus(lambda n: trajectories[n:], make_card(name), out=out, **settings)

    return write


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory, write_toy) -> Path:
    """All toy corpora in one folder; read-only by agreement."""
    folder = tmp_path_factory.mktemp("shards")
    for name in TOYS:
        write_toy(folder, name)
    return folder


@pytest.fixture
def own_folder(tmp_path, write_toy) -> Path:
    """One toy corpus that a test may damage."""
    write_toy(tmp_path, "toy_flow")
    return tmp_path
