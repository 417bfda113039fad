"""The manifest of a folder of shards: what lies there, and the checksums to prove it.

`manifest.json` has one entry per corpus and split. It is replaced atomically
and only ever lists shards that are complete under their final names.
"""

import fcntl
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from data_shards.atomic import replace_file
from data_shards.card import ChannelStatistics, CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError, unknown_name
from data_shards.untrusted import parse_json, read_text

MANIFEST = "manifest.json"
_BUILD = "foundation shards generate all --profile small"  # minutes; the published sizes are days
_URL = re.compile(r"[a-zA-Z][\w+.-]+:/")
Storage = Literal["float32", "float16"]
# Of a card: what decides which channels go where, and which numbers fill them.
_SHOWN = {
    *("channels", "staggered", "mask_as_channel", "given", "asked", "window", "axis"),
    *("parameters", "dt_s"),
}


class SourceFile(Config):
    """One raw file from which trajectories were read."""

    name: str
    bytes: NonNegativeInt
    md5: str | None = None  # None: not computed


class Provenance(Config):
    """Who made the trajectories; with the card enough to make them again."""

    producer: str  # generator or reader
    version: PositiveInt
    seed: int  # -1 for published files
    sources: tuple[SourceFile, ...] = ()  # the raw files, for a reader
    grid: tuple[PositiveInt, ...] | None = None  # asked for; None: that of the raw files


class ShardRecord(Config):
    """One tar file."""

    name: str
    count: PositiveInt  # trajectories
    bytes: PositiveInt
    sha256: str


class CorpusEntry(Config):
    """One split of one corpus."""

    corpus: str
    split: Split
    count: PositiveInt  # trajectories
    frames: PositiveInt
    grid: tuple[PositiveInt, ...]  # rows, columns; slices, rows, columns in three dimensions
    storage: Storage
    shards: tuple[ShardRecord, ...]
    statistics: tuple[ChannelStatistics, ...]
    provenance: Provenance
    card: CorpusCard

    @property
    def resolution(self) -> int:
        """Cells along the longest side."""
        return max(self.grid)

    @property
    def bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """sha256 over the shards' checksums: equal iff the data are equal byte for byte."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode()).hexdigest()

    @property
    def meaning(self) -> dict[str, Any]:
        """What decides, beside the data, what a model is shown of them; plain values."""
        own = self.model_dump(mode="json", include={"count", "frames", "grid", "storage"})
        return own | self.card.model_dump(mode="json", include=_SHOWN)


def notes_on(entry: CorpusEntry) -> list[str]:
    """Asked channels that never change, in words: there is no error relative to such a truth."""
    flat = [each for each in entry.statistics if each.min == each.max]
    asked = [each for each in flat if each.name in entry.card.asked_names]
    lacks = {
        True: "no norm: it has no relative error, losses and scores leave it out",
        False: "no spread: VRMSE leaves it out",
    }
    return [
        f"{entry.corpus} {entry.split}: channel {each.name} is {each.min:.4g} throughout and has "
        f"{lacks[each.min == 0]}"
        for each in asked
    ]


class Manifest(Config):
    """Everything in one folder, sorted by corpus and split."""

    format: Literal[2] = 2
    entries: tuple[CorpusEntry, ...] = ()

    @model_validator(mode="after")
    def _everything_is_listed_once(self) -> Self:
        splits = [f"{entry.corpus} {entry.split}" for entry in self.entries]
        shards = [shard.name for entry in self.entries for shard in entry.shards]
        for name, times in Counter([*splits, *shards]).items():
            if times > 1:
                raise ValueError(f"{name} is listed {times} times; build the shards again")
        return self

    def find(self, corpus: str, split: str) -> CorpusEntry | None:
        """The entry of a corpus and split, if there is one."""
        for entry in self.entries:
            if (entry.corpus, entry.split) == (corpus, split):
                return entry
        return None

    def entry(self, corpus: str, split: str) -> CorpusEntry:
        """The entry of a corpus and split.

        Raises:
            UserError: it is not in this folder; names what is.
        """
        found = self.find(corpus, split)
        if found is not None:
            return found
        splits = [entry.split for entry in self.entries if entry.corpus == corpus]
        if splits:
            raise unknown_name(f"split of {corpus}", split, splits)
        raise unknown_name("corpus", corpus, {entry.corpus for entry in self.entries})

    def without(self, corpus: str, split: str) -> "Manifest":
        """The manifest less one entry."""
        kept = (e for e in self.entries if (e.corpus, e.split) != (corpus, split))
        return Manifest(entries=tuple(kept))

    def with_entry(self, entry: CorpusEntry) -> "Manifest":
        """The manifest with one entry added or replaced."""
        entries = (*self.without(entry.corpus, entry.split).entries, entry)
        return Manifest(entries=tuple(sorted(entries, key=lambda e: (e.corpus, e.split))))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of shards.

    Raises:
        UserError: no such folder, no manifest in it, or it is not readable.
    """
    if not folder.is_dir():
        if _URL.match(str(folder)):
            raise UserError(f"{folder}: a URL; wanted a folder of this machine")
        if folder.exists():
            raise UserError(f"{folder}: a file; wanted the folder of {MANIFEST} and its tars")
        raise UserError(f"{folder}: no such folder; build one with `{_BUILD} --out {folder}`")
    path = folder / MANIFEST
    try:
        values = parse_json(read_text(path), str(path), "build the shards again")
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no {MANIFEST}, so not a folder of finished shards; build one with "
            f"`{_BUILD} --out {folder}`"
        ) from None
    return Manifest.read(values, str(path))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a folder in one step; a reader sees the old or the new one."""
    replace_file(folder / MANIFEST, f"{manifest.model_dump_json(indent=1)}\n".encode())


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder's lock, which the system releases when its holder dies.

    Raises:
        UserError: `wait` is False and another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder, wait)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, wait: bool) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{folder}: another process is writing these shards; wait for it or stop it"
        ) from None
