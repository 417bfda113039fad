"""One split of one corpus that a folder is to hold, and whether it already does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_shards.card import CorpusCard, Split
from data_shards.corpus import check_size
from data_shards.errors import UserError
from data_shards.manifest import (
    MANIFEST,
    CorpusEntry,
    Manifest,
    Provenance,
    Storage,
    read_manifest,
)
from data_shards.tar import ShardError
from launchers.progress import say


@dataclass(frozen=True)
class Order:
    """One split of one corpus to be made.

    Attributes:
        card: with the options that it is made with.
        split: train, validation or test.
        count: trajectories.
        storage: type of the stored fields.
        provenance: who makes them; checksums of raw files may still be unknown.
    """

    card: CorpusCard
    split: Split
    count: int
    storage: Storage
    provenance: Provenance

    @property
    def grid(self) -> tuple[int, ...] | None:
        """Cells per axis; None leaves the grid of the raw files."""
        return self.provenance.grid

    def matches(self, entry: CorpusEntry) -> bool:
        """Whether an entry is what this order would give."""
        return (
            (self.count, self.storage) == (entry.count, entry.storage)
            and _identity(self.provenance) == _identity(entry.provenance)
            and _recipe(self.card, self.provenance) == _recipe(entry.card, entry.provenance)
        )

    def __str__(self) -> str:
        return f"{self.card.name} {self.split}"


def pending(orders: Sequence[Order], out: Path, overwrite: bool) -> list[Order]:
    """Those orders that a folder does not hold yet; says which are skipped.

    All refusals come before the first piece of work: the last corpus may be hours away.

    Raises:
        UserError: the folder holds something else under a name, and may not be overwritten.
    """
    there = read_manifest(out) if (out / MANIFEST).exists() else Manifest()
    missing = [order for order in orders if not _is_there(order, there, out, overwrite)]
    for order in orders:
        if order not in missing:
            say(f"{order}: already in {out}, skipped")
    return missing


def settings(made: Order | CorpusEntry) -> str:
    """Size and origin of a split in words."""
    provenance = made.provenance
    text = f"{made.count} trajectories"
    if made.grid is not None:
        text += f" at {'x'.join(map(str, made.grid))}"
    text += f" {made.storage} by {provenance.producer} version {provenance.version}"
    if provenance.seed < 0:
        return text + f" from {', '.join(file.name for file in provenance.sources) or 'raw files'}"
    return text + f", seed {provenance.seed}"


def mebibytes(size: int) -> str:
    """Bytes as "12.3 MiB"."""
    return f"{size / (1 << 20):.1f} MiB"


def _is_there(order: Order, manifest: Manifest, out: Path, overwrite: bool) -> bool:
    entry = manifest.find(order.card.name, order.split)
    if entry is None:
        return False
    if order.matches(entry):
        try:
            for record in entry.shards:
                check_size(out, record)
        except ShardError as error:
            say(f"{order}: {error}")
            return False
        return True
    if not overwrite:
        ours, theirs = settings(order), settings(entry)
        wanted = f"not {ours}" if ours != theirs else "made with other options than now asked for"
        raise UserError(
            f"{out} holds another {order}: {theirs}, {wanted}; add --overwrite to replace it, or "
            "choose another --out"
        )
    return False


def _identity(provenance: Provenance) -> tuple[Any, ...]:
    files = tuple((file.name, file.bytes) for file in provenance.sources)
    return provenance.producer, provenance.version, provenance.seed, provenance.grid, files


def _recipe(card: CorpusCard, provenance: Provenance) -> Any:
    """What on a card decides about the numbers: of the generator, or of the reader."""
    if provenance.seed >= 0:
        return card.generator_options
    if card.published is None:
        return None
    return card.published.options, card.published.splits
