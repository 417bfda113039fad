"""Readers of published raw files, by the name that cards use in `published.reader`.

`open_raw` opens the files of a corpus; `convert` makes shards of them. A
reader's module is imported when it is first used: h5py and scipy take a while.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError, unknown_name
from data_shards.read.raw import Raw, RawCorpus, narrowed, published

Opener = Callable[[CorpusCard, Split, Any], RawCorpus]  # of a path; "custom" of several


def _module(name: str) -> Opener:
    """The `open_corpus(card, split, path)` of a module of this package."""

    def opener(card: CorpusCard, split: Split, path: Raw) -> RawCorpus:
        corpus: RawCorpus = import_module(f"{__name__}.{name}").open_corpus(card, split, path)
        return corpus

    return opener


READERS: dict[str, Opener] = {
    "cfdbench": _module("cfdbench"),
    "custom": _module("custom"),
    "elliptic": _module("elliptic"),
    "fno_matlab": _module("fno_matlab"),
    "pdearena": _module("pdearena"),
    "pdebench_cns": _module("pdebench_cns"),
    "pdebench_groups": _module("pdebench_groups"),
    "processed": _module("processed"),
    "the_well": _module("the_well"),
    "wave": _module("wave"),
}


def open_raw(card: CorpusCard, split: Split, path: Raw, *, limit: int | None = None) -> RawCorpus:
    """Open the published files of a corpus.

    Args:
        card: card of the corpus; its `published` says which reader, files and splits.
        split: train, validation or test.
        path: the folder that holds the files, or the one file itself; or a user's own files.
        limit: only the first so many trajectories of the split; then a file may be shorter
            than the published one.

    Raises:
        UserError: nothing is published, no such reader or split, or the files are missing,
            damaged or other than the card says.
    """
    reader = published(card).reader
    if reader not in READERS:
        raise unknown_name(f"reader of card {card.name}", reader, READERS)
    if isinstance(path, tuple) and reader != "custom":
        raise UserError(
            f"{card.name}: {len(path)} raw files, its reader {reader!r} takes the folder that "
            "holds them; several files are for your own simulations (--format custom)"
        )
    return READERS[reader](narrowed(card, split, limit), split, path)
