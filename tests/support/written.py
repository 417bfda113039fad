"""Shards at the size of a test: by a corpus's own generator, or of flows in closed form."""

from collections.abc import Callable, Mapping
from pathlib import Path

from data_shards.card import CorpusCard, Split
from data_shards.catalogue import load_card
from data_shards.generate.driver import generate_corpus
from data_shards.shards.manifest import Provenance
from data_shards.shards.writer import write_corpus
from data_shards.trajectory import Trajectory


def write_generated(folder: Path, name: str, counts: Mapping[Split, int], resolution: int) -> Path:
    """Splits of a corpus as its generator makes them."""
    card = load_card(name)
    producer = str(card.generator)
    for split, count in counts.items():
        write_corpus(
            lambda first, s=split, n=count: generate_corpus(
                card, split=s, count=n, resolution=resolution, seed=0, first=first
            ),
            card,
            split=split,
            out=folder,
            count=count,
            provenance=Provenance(producer=producer, version=1, seed=0, grid=card.grid(resolution)),
        )
    return folder


def write_closed_forms(
    folder: Path,
    card: CorpusCard,
    counts: Mapping[Split, int],
    flow: Callable[[CorpusCard, int, int], Trajectory],
) -> Path:
    """Splits of flows by card, number and seed; every split has a seed of its own."""
    for seed, (split, count) in enumerate(counts.items()):
        write_corpus(
            lambda first, s=seed, n=count: (flow(card, i, s) for i in range(first, n)),
            card,
            split=split,
            out=folder,
            count=count,
            provenance=Provenance(producer="closed form", version=1, seed=seed),
        )
    return folder
