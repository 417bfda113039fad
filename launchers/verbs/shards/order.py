"""Which of the splits that are asked for a folder lacks; sizes and origins in words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_shards.errors import UserError
from data_shards.shards.corpus import check_size
from data_shards.shards.dataset_card import files_text
from data_shards.shards.manifest import (
    MANIFEST,
    CorpusEntry,
    Manifest,
    read_manifest,
)
from data_shards.shards.order import Order
from data_shards.shards.tar import ShardError
from launchers.console.progress import say


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
