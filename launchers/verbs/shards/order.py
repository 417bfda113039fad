"""One split of one corpus that a folder is to hold, and whether it already does."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_shards.card import CorpusCard, Split
from data_shards.corpus import check_size
from data_shards.dataset_card import files_text
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

# Of a card; the rest describes, or belongs to profiles.
_DECISIVE = (
    "pde", "channels", "mask_as_channel", "frames", "dt_s", "native_grid", "boundary", "extent",
    "parameters", "context_frames", "rollout_frames",
)  # fmt: skip


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
        return self.same_size_and_origin(entry) and not self.changed(entry)

    def same_size_and_origin(self, entry: CorpusEntry) -> bool:
        """Whether all but the card is what this order would give."""
        return (self.count, self.storage) == (entry.count, entry.storage) and _identity(
            self.provenance
        ) == _identity(entry.provenance)

    def changed(self, entry: CorpusEntry) -> list[str]:
        """What on the card decides about the result and is not as in an entry."""
        ours = _recipe(self.card, self.provenance)
        theirs = _recipe(entry.card, entry.provenance)
        return [key for key in ours | theirs if ours.get(key) != theirs.get(key)]

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
            say(f"{order}: already in {out}, skipped{_made_from(order)}")
    return missing


@contextmanager
def resumable() -> Iterator[None]:
    """Tell whoever stops the writing of shards that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; what is done is kept, and the same command goes on where it was")
        raise


def settings(made: Order | CorpusEntry) -> str:
    """Size and origin of a split in words."""
    provenance = made.provenance
    text = f"{made.count} trajectories"
    if made.grid is not None:
        text += f" at {'x'.join(map(str, made.grid))}"
    text += f" {made.storage} by {provenance.producer} version {provenance.version}"
    if provenance.seed < 0:
        return text + f" from {files_text(provenance.sources) or 'raw files'}"
    return text + f", seed {provenance.seed}"


def mebibytes(size: int) -> str:
    """Bytes as "12.3 MiB"."""
    return f"{size / (1 << 20):.1f} MiB"


def _is_there(order: Order, manifest: Manifest, out: Path, overwrite: bool) -> bool:
    entry = manifest.find(order.card.name, order.split)
    if entry is None:
        return False
    if order.matches(entry) and not (overwrite and order.provenance.sources):
        # Of raw files only name and size are known: whoever says --overwrite may mean another.
        try:
            for record in entry.shards:
                check_size(out, record)
        except ShardError as error:
            say(f"{order}: {error}")
            return False
        return True
    if not overwrite:
        wanted = f"not {settings(order)}"
        if order.same_size_and_origin(entry):
            wanted = f"made from another card than now ({', '.join(order.changed(entry))})"
        raise UserError(
            f"{out} holds another {order}: {settings(entry)}, {wanted}; add --overwrite to "
            "replace it, or choose another --out"
        )
    return False


def _identity(provenance: Provenance) -> tuple[Any, ...]:
    files = tuple((file.name, file.bytes) for file in provenance.sources)
    return provenance.producer, provenance.version, provenance.seed, provenance.grid, files


def _recipe(card: CorpusCard, provenance: Provenance) -> dict[str, Any]:
    """What on a card decides about the result: fields, labels, window, and how they are made."""
    values = card.model_dump(mode="json")
    recipe = {key: values[key] for key in _DECISIVE}
    if provenance.seed >= 0:
        return recipe | {"generator_options": values["generator_options"]}
    published = values["published"] or {}
    return recipe | {f"published.{k}": published.get(k) for k in ("reader", "options", "splits")}


def _made_from(order: Order) -> str:
    """The raw files of a split in words: names and sizes are all that is known of them."""
    sources = order.provenance.sources
    if not sources:
        return ""
    size = mebibytes(sum(source.bytes for source in sources))
    return (
        f"; it was made from {files_text(sources)} of this size ({size}): if that was another "
        "file, add --overwrite"
    )
