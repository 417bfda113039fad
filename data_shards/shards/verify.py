"""Verification of a folder of shards: manifest and tars in, every fault by name out.

Quick: all shards are there with the size the manifest says. Deep: checksums,
an unbroken chain of tar headers, complete samples, unique keys, shapes and
types as the card says, finite values, binary masks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_shards.card import CorpusCard
from data_shards.errors import UserError
from data_shards.hashing import sha256_of, sha256_of_all
from data_shards.prepared import mask_fits
from data_shards.shards.corpus import ShardedCorpus, check_size
from data_shards.shards.headers import header_fault, parameters_of
from data_shards.shards.index import Sample, ShardFile
from data_shards.shards.manifest import CorpusEntry, Manifest, ShardRecord, notes_on, read_manifest
from data_shards.shards.tar import ShardError

ListedShard = tuple[CorpusEntry, ShardRecord]


@dataclass(frozen=True)
class Fault:
    """What is wrong with one file of the folder."""

    shard: str
    message: str


@dataclass(frozen=True)
class Report:
    """What was checked, and what was found."""

    deep: bool
    shards: int
    trajectories: int
    bytes: int
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()  # no faults, but to be known

    @property
    def ok(self) -> bool:
        return not self.faults


def verify(
    folder: Path,
    deep: bool = True,
    watch: Callable[[Sequence[ListedShard]], Iterable[ListedShard]] = iter,
) -> Report:
    """Check every shard of a folder.

    Args:
        folder: a folder of shards with its manifest.
        deep: read and check all bytes, rather than sizes only.
        watch: passes the shards on one by one, to show progress.

    Returns:
        A report that lists all faults, not only the first.

    Raises:
        UserError: there is no readable manifest to check against.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    faults = [*_unlisted(folder, manifest), *_miscounted(manifest)]
    keys: dict[str, str] = {}
    shards = [(entry, record) for entry in manifest.entries for record in entry.shards]
    pool = ThreadPoolExecutor()  # checksums run ahead: hashing leaves the interpreter to others
    try:
        sums = [pool.submit(_sum, folder, record) if deep else None for _, record in shards]
        for (entry, record), came in zip(watch(shards), sums, strict=True):
            faults += _shard_faults(folder, entry, record, keys, came)
    finally:
        pool.shutdown(cancel_futures=True)
    return Report(
        deep=deep,
        shards=sum(len(entry.shards) for entry in manifest.entries),
        trajectories=sum(entry.count for entry in manifest.entries),
        bytes=sum(entry.bytes for entry in manifest.entries),
        faults=tuple(faults),
        notes=tuple(note for entry in manifest.entries for note in notes_on(entry)),
    )


def check_checksums(
    corpora: Iterable[ShardedCorpus], watch: Callable[[], None] = lambda: None
) -> None:
    """Refuse shards whose content is not what their manifest says; reads each of them once.

    Args:
        corpora: of the shards.
        watch: called after every shard.

    Raises:
        ShardError: a shard has changed since its manifest was written.
    """
    shards = [
        (corpus.folder / record.name, record.sha256)
        for corpus in corpora
        for record in corpus.entry.shards
    ]
    for (path, listed), came in zip(shards, sha256_of_all(p for p, _ in shards), strict=True):
        watch()
        if came != listed:
            raise ShardError(
                f"shard {path}: changed: sha256 {came[:12]}..., the manifest says "
                f"{listed[:12]}...; build the corpus again"
            )


def _unlisted(folder: Path, manifest: Manifest) -> Iterator[Fault]:
    """Tars that `*.tar` would match though no manifest vouches for them."""
    listed = {record.name for entry in manifest.entries for record in entry.shards}
    for path in sorted(folder.glob("*.tar")):
        if path.name not in listed:
            yield Fault(path.name, "not in the manifest; remove it or build the corpus again")


def _miscounted(manifest: Manifest) -> Iterator[Fault]:
    for entry in manifest.entries:
        counted = sum(record.count for record in entry.shards)
        if counted != entry.count:
            message = f"its shards hold {counted} trajectories, the manifest says {entry.count}"
            yield Fault(f"{entry.corpus} {entry.split}", message)


def _sum(folder: Path, record: ShardRecord) -> str:
    """Checksum of a shard of the right size."""
    check_size(folder, record)
    return sha256_of(folder / record.name)


def _shard_faults(
    folder: Path,
    entry: CorpusEntry,
    record: ShardRecord,
    keys: dict[str, str],
    came: Future[str] | None,
) -> Iterator[Fault]:
    """Faults of one shard; `keys` gathers the shard of each corpus/key.

    `came` is its checksum; without one only its size is looked at.
    """
    try:
        if came is None:
            check_size(folder, record)
            return
        if (digest := came.result()) != record.sha256:
            yield Fault(
                record.name,
                f"changed: sha256 {digest[:12]}..., the manifest says {record.sha256[:12]}...; "
                "build the corpus again",
            )
        shard = ShardFile(folder / record.name)
    except UserError as error:
        yield Fault(record.name, str(error).removeprefix(f"shard {record.name}: "))
        return
    if len(shard.samples) != record.count:
        yield Fault(
            record.name,
            f"holds {len(shard.samples)} trajectories, the manifest says {record.count}",
        )
    for sample in shard.samples:
        name = f"{entry.corpus}/{sample.key}"
        if name in keys:
            yield Fault(record.name, f"key {sample.key!r} is also in {keys[name]}")
        keys[name] = record.name
        fault = _sample_fault(shard, sample, entry)
        if fault:
            yield Fault(record.name, f"{sample.key}: {fault}")


def _sample_fault(shard: ShardFile, sample: Sample, entry: CorpusEntry) -> str | None:
    """The first fault of a trajectory, or None."""
    if fault := header_fault(shard, sample, entry):
        return fault
    fields, mask = shard.array(sample.fields), shard.array(sample.mask)
    meta = shard.metadata(sample)
    if not mask_fits(mask, entry.card):
        return f"mask {mask.shape} is not {entry.grid} of zeros and ones"
    if not np.isfinite(fields).all():
        frame, channel = (int(i) for i in np.argwhere(~np.isfinite(fields))[0][:2])
        return f"channel {entry.card.channel_names[channel]} is not finite in frame {frame}"
    if absent := _absent_parameters(entry.card, meta):
        return f"no number {', '.join(absent)}, which the card gives"
    return None


def _absent_parameters(card: CorpusCard, meta: dict[str, Any]) -> list[str]:
    """Parameters that fill constant channels, and that neither a trajectory nor the card says."""
    own = parameters_of(meta) or {}
    given = dict.fromkeys(one.name for one in card.offered if one.name in card.parameters)
    varied = [name for name in given if card.parameters[name].low != card.parameters[name].high]
    return [name for name in varied if not isinstance(own.get(name), int | float)]
