"""One split of one corpus that a folder is to hold, and whether an entry is just that."""

from dataclasses import dataclass
from typing import Any

from data_shards.card import CorpusCard, Split
from data_shards.shards.manifest import CorpusEntry, Provenance, Storage

# Of a card; the rest describes, or belongs to profiles.
_DECISIVE = (
    "pde", "channels", "mask_as_channel", "staggered", "frames", "dt_s", "native_grid", "boundary",
    "extent", "parameters", "context_frames", "rollout_frames",
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
