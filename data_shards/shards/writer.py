"""Trajectories in, WebDataset shards and a manifest entry out.

Shards `CORPUS-SPLIT-000000.tar` are ordinary WebDataset tars with members
`KEY.fields.npy`, `KEY.mask.npy`, `KEY.meta.json` per trajectory. Headers carry
no time and no owner, so the same trajectories give the same bytes. Everything
is written to a hidden folder first; final names and the manifest appear only
when the whole split is complete. A split that was stopped on the way goes on
where it was (`leftover`), with the same bytes in the end.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_shards.atomic import publish
from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.prepared import mask_fits
from data_shards.shards.dataset_card import write_dataset_card
from data_shards.shards.leftover import (
    EncodedSample,
    any_tar,
    arrays,
    consume,
    discard,
    key_of,
    recover,
)
from data_shards.shards.manifest import (
    MANIFEST,
    CorpusEntry,
    Manifest,
    Provenance,
    Storage,
    locked,
    read_manifest,
    write_manifest,
)
from data_shards.shards.rotation import RotatingShards
from data_shards.shards.statistics import StatisticsAccumulator
from data_shards.trajectory import Trajectory

SHARD_BYTES = 1 << 30


def write_corpus(
    trajectories_from: Callable[[int], Iterable[Trajectory]],
    card: CorpusCard,
    *,
    split: Split,
    out: Path,
    count: int,
    provenance: Provenance,
    shard_bytes: int = SHARD_BYTES,
    storage: Storage = "float32",
    origin: Any = None,
) -> CorpusEntry:
    """Write one split of one corpus and enter it into the folder's manifest.

    An existing split of the same name is replaced, and only once the new one is
    complete; other corpora in the folder stay as they are. A writer that is stopped or killed,
    or runs out of disk, is taken up by the next one of the same order; one whose data are
    refused leaves nothing.

    Args:
        trajectories_from: given n, trajectories n, n + 1, ..., count - 1, in the order they are
            to have; n is the number that a stopped writer has finished.
        card: card of the corpus; every trajectory is checked against it.
        split: train, validation or test.
        out: folder, made if need be.
        count: number of trajectories that the split is to have.
        provenance: generator or reader, version, seed, raw files.
        shard_bytes: a shard is closed before it would grow beyond this size.
        storage: type of the stored fields; float16 halves the size at 3 digits.
        origin: what else tells this order from others, a plain JSON value; a stopped writer of
            another origin is not taken up. The split itself does not depend on it.

    Returns:
        The entry, as it stands in the manifest.

    Raises:
        UserError: a trajectory violates the card, the folder cannot be written, or another
            process is writing the same split.
        RuntimeError: the trajectories are fewer or more than `count`.
    """
    stem = f"{card.name}-{split}"
    order = {
        "card": card.canonical(),
        "split": split,
        "provenance": provenance.model_dump(mode="json"),
        "storage": storage,
        "origin": origin,
    }
    with _partial_folder(out, stem) as partial:
        before = recover(partial, order)[:count]
        packer = _Packer(card, split, storage)
        with RotatingShards(partial, stem, shard_bytes) as shards:
            for sample in consume(before):
                shards.write(packer.repeat(sample))
            for trajectory in trajectories_from(len(before)):
                shards.write(packer.pack(trajectory))
        if packer.count != count or packer.shape is None:
            raise RuntimeError(
                f"{card.name} {split}: {packer.count} trajectories came, not {count}"
            )
        entry = CorpusEntry(
            corpus=card.name,
            split=split,
            count=count,
            frames=card.frames,
            grid=packer.shape[2:],
            storage=storage,
            shards=shards.records,
            statistics=packer.statistics.result(),
            provenance=provenance,
            card=card,
        )
        _publish(partial, out, entry)
    return entry


class _Packer:
    """Trajectories in, encoded samples out; knows how many, of what shape, and their statistics."""

    def __init__(self, card: CorpusCard, split: Split, storage: Storage) -> None:
        self._card, self._split, self._storage = card, split, storage
        self.statistics = StatisticsAccumulator(card.channel_names)
        self.shape: tuple[int, ...] | None = None
        self.count = 0

    def pack(self, trajectory: Trajectory) -> EncodedSample:
        """Check and encode the next trajectory."""
        check_trajectory(trajectory, self._card, self.shape)
        return self.repeat(encode(trajectory, self._card, self._split, self.count, self._storage))

    def repeat(self, sample: EncodedSample) -> EncodedSample:
        """Take the next sample as it was encoded before."""
        fields, mask = arrays(sample)  # what is stored is what is described
        self.statistics.add(fields, mask)
        self.shape = fields.shape
        self.count += 1
        return sample


def check_trajectory(
    trajectory: Trajectory, card: CorpusCard, shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Refuse what does not belong into a corpus; gives the shape of its fields.

    Args:
        trajectory: what came.
        card: what the corpus promises.
        shape: fields of the trajectories before, None for the first.

    Raises:
        UserError: another corpus, frames, channels or dimensions other than the card's, a grid
            of other proportions or other than the others', values that are not finite, or a mask
            that is not binary.
    """
    where = f"{card.name} trajectory {trajectory.index}"
    came = trajectory.fields.shape
    if trajectory.corpus != card.name:
        raise UserError(f"{where}: it belongs to corpus {trajectory.corpus!r}")
    wanted = (card.frames, len(card.channels), *card.grid(came[-1]))
    if came != wanted:
        axes = "(T, C, H, W)" if len(wanted) == 4 else "(T, C, D, H, W)"
        raise UserError(f"{where}: fields are {came}, its card says {wanted} {axes}")
    if shape is not None and came != shape:
        raise UserError(f"{where}: fields are {came}, those before it {shape}")
    finite = np.isfinite(trajectory.fields)
    if not finite.all():
        frame, channel = (int(i) for i in np.argwhere(~finite)[0][:2])
        raise UserError(
            f"{where}: channel {card.channel_names[channel]} is not finite in frame {frame}"
        )
    if not mask_fits(trajectory.full_mask, card):
        raise UserError(f"{where}: its mask holds other values than 0 (solid) and 1 (fluid)")
    return came


def encode(
    trajectory: Trajectory, card: CorpusCard, split: Split, position: int, storage: Storage
) -> EncodedSample:
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
    with np.errstate(over="ignore"):  # refused in words below
        fields = trajectory.fields.astype(storage, copy=False)
    if not np.isfinite(fields).all():
        raise UserError(
            f"{card.name} trajectory {trajectory.index}: values exceed {storage}; store float32"
        )
    return {
        "__key__": key_of(split, position),
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
    """A hidden folder for unfinished shards, ours alone.

    It goes when the split is complete and when what should go into it was refused; anything
    else (Ctrl-C, a killed process, a full disk, a simulation that failed) leaves what may be
    days of work to be taken up.
    """
    partial = out / f".partial-{stem}"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        with locked(partial, wait=False):
            try:
                yield partial
            except UserError:
                discard(partial)
                raise
            discard(partial)
    except OSError as error:
        kept = "; what is done is kept, the same command goes on" if any_tar(partial) else ""
        raise UserError(f"{out}: cannot write shards there: {error}{kept}") from error


def _publish(partial: Path, out: Path, entry: CorpusEntry) -> None:
    """Move finished shards to their names; the manifest lists them only afterwards.

    A kill in between leaves a manifest without this split, never one that lies.
    """
    with locked(out):
        manifest = read_manifest(out) if (out / MANIFEST).exists() else Manifest()
        if manifest.find(entry.corpus, entry.split) is not None:
            _describe(out, manifest.without(entry.corpus, entry.split))
        for old in out.glob(f"{entry.corpus}-{entry.split}-{'[0-9]' * 6}.tar"):
            old.unlink()
        publish({partial / shard.name: out / shard.name for shard in entry.shards})
        _describe(out, manifest.with_entry(entry))


def _describe(out: Path, manifest: Manifest) -> None:
    """The manifest for programs, and what it says for people."""
    write_manifest(out, manifest)
    write_dataset_card(out, manifest)
