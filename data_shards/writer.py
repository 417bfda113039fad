"""Trajectories in, WebDataset shards and a manifest entry out.

Shards `CORPUS-SPLIT-000000.tar` are ordinary WebDataset tars with members
`KEY.fields.npy`, `KEY.mask.npy`, `KEY.meta.json` per trajectory. Headers carry
no time and no owner, so the same trajectories give the same bytes. Everything
is written to a hidden folder first; final names and the manifest appear only
when the whole split is complete.
"""

import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.cards import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.manifest import (
    MANIFEST,
    CorpusEntry,
    Manifest,
    Provenance,
    Storage,
    locked,
    read_manifest,
    write_manifest,
)
from data_shards.roll import ShardRoll
from data_shards.statistics import StatisticsAccumulator
from data_shards.trajectory import Trajectory

SHARD_BYTES = 1 << 30


def write_corpus(
    trajectories: Iterable[Trajectory],
    card: CorpusCard,
    *,
    split: Split,
    out: Path,
    count: int,
    provenance: Provenance,
    shard_bytes: int = SHARD_BYTES,
    storage: Storage = "float32",
) -> CorpusEntry:
    """Write one split of one corpus and enter it into the folder's manifest.

    An existing split of the same name is replaced, and only once the new one is
    complete; other corpora in the folder stay as they are.

    Args:
        trajectories: `count` of them, in the order they are to have.
        card: card of the corpus; every trajectory is checked against it.
        split: train, validation or test.
        out: folder, made if need be.
        count: number of trajectories to come.
        provenance: generator or reader, version, seed.
        shard_bytes: a shard is closed before it would grow beyond this size.
        storage: type of the stored fields; float16 halves the size at 3 digits.

    Returns:
        The entry, as it stands in the manifest.

    Raises:
        UserError: a trajectory violates the card, the folder cannot be written, or another
            process is writing the same split.
        RuntimeError: the trajectories are fewer or more than `count`.
    """
    with _partial_folder(out, f"{card.name}-{split}") as partial:
        statistics = StatisticsAccumulator(card.channel_names)
        shape: tuple[int, ...] | None = None
        written = 0
        with ShardRoll(partial, f"{card.name}-{split}", shard_bytes) as shards:
            for written, trajectory in enumerate(trajectories, 1):
                shape = check_trajectory(trajectory, card, shape)
                statistics.add(trajectory)
                shards.write(encode(trajectory, card, split, written - 1, storage))
        if written != count or shape is None:
            raise RuntimeError(f"{card.name} {split}: {written} trajectories came, not {count}")
        entry = CorpusEntry(
            corpus=card.name,
            split=split,
            count=count,
            frames=card.frames,
            resolution=shape[-1],
            storage=storage,
            shards=shards.records,
            statistics=statistics.result(),
            provenance=provenance,
            card=card,
        )
        _publish(partial, out, entry)
    return entry


def check_trajectory(
    trajectory: Trajectory, card: CorpusCard, shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Refuse what does not belong into a corpus; gives the shape of its fields.

    Args:
        trajectory: what came.
        card: what the corpus promises.
        shape: fields of the trajectories before, None for the first.

    Raises:
        UserError: another corpus, frames or channels other than the card's, a grid that is not
            square or differs from the others', values that are not finite, or a mask that is not
            binary.
    """
    where = f"{card.name} trajectory {trajectory.index}"
    came = trajectory.fields.shape
    if trajectory.corpus != card.name:
        raise UserError(f"{where}: it belongs to corpus {trajectory.corpus!r}")
    wanted = (card.frames, len(card.channels), came[-1], came[-1])
    if came != wanted:
        raise UserError(f"{where}: fields are {came}, its card says {wanted} (T, C, H, W)")
    if shape is not None and came != shape:
        raise UserError(f"{where}: fields are {came}, those before it {shape}")
    if not np.isfinite(trajectory.fields).all():
        raise UserError(f"{where}: fields hold values that are not finite")
    if not np.isin(trajectory.full_mask, (0, 1)).all():
        raise UserError(f"{where}: its mask holds other values than 0 (solid) and 1 (fluid)")
    return came


def encode(
    trajectory: Trajectory, card: CorpusCard, split: Split, position: int, storage: Storage
) -> dict[str, Any]:
    """The WebDataset sample of a trajectory; equal trajectories give equal bytes."""
    meta = {
        "corpus": card.name,
        "split": split,
        "index": trajectory.index,
        "seed": trajectory.seed,
        "pde": card.pde,
        "channels": [channel.model_dump() for channel in card.channels],
        "dt_s": float(trajectory.dt_s),
        "extent": [float(edge) for edge in trajectory.extent],
        "boundary": trajectory.boundary,
        # As text: `datasets` wants one type for all samples and silently drops keys that its
        # first five samples lack, while parameters differ between and within corpora.
        "parameters": json.dumps(trajectory.parameters, sort_keys=True),
    }
    fields = trajectory.fields.astype(storage, copy=False)
    if not np.isfinite(fields).all():
        raise UserError(
            f"{card.name} trajectory {trajectory.index}: values exceed {storage}; store float32"
        )
    return {
        "__key__": f"{split}-{position:06d}",
        "fields.npy": _npy(fields),
        "mask.npy": _npy(trajectory.full_mask.astype(np.float32, copy=False)),
        "meta.json": json.dumps(meta, sort_keys=True).encode(),
    }


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return file.getvalue()


@contextmanager
def _partial_folder(out: Path, stem: str) -> Iterator[Path]:
    """A hidden folder for unfinished shards, ours alone, gone at the end whatever happens."""
    partial = out / f".partial-{stem}"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with locked(partial, wait=False):
            for leftover in partial.iterdir():  # of a run that was killed
                leftover.unlink()
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise UserError(f"{out}: cannot write shards there: {error}") from error


def _publish(partial: Path, out: Path, entry: CorpusEntry) -> None:
    """Move finished shards to their names; the manifest lists them only afterwards.

    A kill in between leaves a manifest without this split, never one that lies.
    """
    with locked(out):
        manifest = read_manifest(out) if (out / MANIFEST).exists() else Manifest()
        if manifest.find(entry.corpus, entry.split) is not None:
            write_manifest(out, manifest.without(entry.corpus, entry.split))
        for old in out.glob(f"{entry.corpus}-{entry.split}-{'[0-9]' * 6}.tar"):
            old.unlink()
        for shard in entry.shards:
            os.replace(partial / shard.name, out / shard.name)
        write_manifest(out, manifest.with_entry(entry))
