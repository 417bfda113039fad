"""One split of one corpus, opened for reading: windows, masks, whole trajectories.

Axes: T frames, C channels of the corpus (no obstacle mask, no padding), H rows, W columns
(in three dimensions D slices before them).
"""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from data_shards.card import CorpusCard, Split
from data_shards.errors import UserError
from data_shards.shards.headers import header_fault
from data_shards.shards.index import Sample, ShardFile
from data_shards.shards.manifest import CorpusEntry, ShardRecord, read_manifest
from data_shards.shards.tar import ShardError
from data_shards.trajectory import Trajectory


class ShardedCorpus:
    """Random access to the trajectories of one split; cheap to pickle."""

    def __init__(self, folder: Path, entry: CorpusEntry) -> None:
        """Open an entry of a manifest; see `open`."""
        self.folder = folder
        self.entry = entry
        self.card: CorpusCard = entry.card
        self._shards: list[ShardFile] = []
        self._places: list[tuple[int, Sample]] = []
        for number, record in enumerate(entry.shards):
            check_size(folder, record)
            shard = ShardFile(folder / record.name)
            if len(shard.samples) != record.count:
                raise ShardError(
                    f"shard {record.name}: holds {len(shard.samples)} trajectories, the manifest "
                    f"says {record.count}; build the corpus again"
                )
            for sample in shard.samples:
                if fault := header_fault(shard, sample, entry):
                    raise ShardError(
                        f"shard {record.name}: {sample.key}: {fault}; build the corpus again"
                    )
            self._shards.append(shard)
            self._places += [(number, sample) for sample in shard.samples]
        self.keys: tuple[str, ...] = tuple(sample.key for _, sample in self._places)
        if len(self.keys) != entry.count or len(set(self.keys)) != entry.count:
            raise ShardError(
                f"{entry.corpus} {entry.split}: {len(set(self.keys))} trajectories of different "
                f"names in its shards, the manifest says {entry.count}; build the corpus again"
            )

    @classmethod
    def open(cls, folder: Path | str, name: str, split: str) -> Self:
        """Open a split of a corpus after a quick check of its shards.

        Args:
            folder: a folder of shards with its manifest.
            name: the corpus.
            split: train, validation or test.

        Raises:
            UserError: no such folder, corpus or split.
            ShardError: a shard is missing, truncated, changed or damaged (a `UserError`).
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        try:
            return cls(folder, manifest.entry(name, split))
        except UserError as error:
            raise type(error)(f"{folder}: {error}") from None

    @property
    def name(self) -> str:
        return self.entry.corpus

    @property
    def split(self) -> Split:
        return self.entry.split

    @property
    def frames(self) -> int:
        return self.entry.frames

    @property
    def resolution(self) -> int:
        """Cells along the longest side."""
        return self.entry.resolution

    @property
    def fingerprint(self) -> str:
        """Checksum of the data (sha256, hex)."""
        return self.entry.fingerprint

    @property
    def num_trajectories(self) -> int:
        return len(self._places)

    def __len__(self) -> int:
        return self.num_trajectories

    def window(self, trajectory: int, start: int, length: int) -> NDArray[np.float32]:
        """Consecutive frames (length, C, H, W), physical units; only these are read.

        Read-only where the shard holds float32 (it is the file itself); copy to change it.

        Raises:
            IndexError: no such trajectory, or the window leaves it.
        """
        if start < 0 or length < 1 or start + length > self.frames:
            raise IndexError(
                f"{self.name}: frames {start}..{start + length - 1}, a trajectory has {self.frames}"
            )
        shard, sample = self._place(trajectory)
        frames: NDArray[Any] = shard.array(sample.fields)[start : start + length]
        return frames.astype(np.float32, copy=False)

    def mask(self, trajectory: int) -> NDArray[np.float32]:
        """Fluid mask (H, W), 1 fluid, 0 solid; read-only."""
        shard, sample = self._place(trajectory)
        return shard.array(sample.mask).astype(np.float32, copy=False)

    def metadata(self, trajectory: int) -> dict[str, Any]:
        """Index, seed, dt_s, extent, boundary, parameters (a dict), ... of a trajectory."""
        shard, sample = self._place(trajectory)
        meta = shard.metadata(sample)
        return {**meta, "parameters": json.loads(meta["parameters"])}

    def trajectory(self, trajectory: int) -> Trajectory:
        """A whole trajectory, as it was written; a copy."""
        meta = self.metadata(trajectory)
        mask = np.array(self.mask(trajectory))
        return Trajectory(
            fields=np.array(self.window(trajectory, 0, self.frames)),
            corpus=meta["corpus"],
            index=meta["index"],
            seed=meta["seed"],
            dt_s=meta["dt_s"],
            extent=tuple(meta["extent"]),
            boundary=meta["boundary"],
            parameters=meta["parameters"],
            mask=None if mask.all() else mask,
        )

    def _place(self, trajectory: int) -> tuple[ShardFile, Sample]:
        if not 0 <= trajectory < len(self._places):
            raise IndexError(f"{self.name}: trajectory {trajectory} of {len(self._places)}")
        shard, sample = self._places[trajectory]
        return self._shards[shard], sample


def check_size(folder: Path, record: ShardRecord) -> None:
    """The quick check of a shard: there, and of the size the manifest says.

    Raises:
        ShardError: missing, truncated or changed.
    """
    try:
        size = (folder / record.name).stat().st_size
    except FileNotFoundError:
        raise ShardError(f"shard {record.name}: missing; build the corpus again") from None
    if size != record.bytes:
        fault = "truncated" if size < record.bytes else "changed"
        raise ShardError(
            f"shard {record.name}: {fault}: {size} bytes, the manifest says {record.bytes}; "
            "build the corpus again"
        )
