"""Reader of files that MoE-POT or DPOT prepared: `data` (X, Y, T, C), whatever the corpus.

In: folders {train,test} of `data_0.hdf5`, `data_1.hdf5`, ... with one trajectory
each, or one file per split (`NAME_train.hdf5`, `NAME_test.hdf5`) with
(N, X, Y, T, C); the channel axis may be missing where there is one channel.
Out: fields (T, C, y, x), channels in the card's order. Any card may be read this
way: its own reader is put aside.
Source: the published preparations, as facts. What they keep apart from ours:
- Axes and channels are in an order of their own (`data_shards.prepared`). FNO's 1e-5
  file is MATLAB 5, which reverses nothing: if yours was prepared from it by scipy, set
  `axes: xy`.
- CFDBench's mask is between 0 and 1 at its padded sides; it is cut at one half, or
  kept (`mask: fractional`). Further channels are padding and left out.
- There is no validation split: PDEArena's is part of train, CFDBench's is dropped.

Options of the card: `axes` (of the file), `channels` (names in the file's order,
"mask" for a mask, "" for padding), and `dt_s`, `extent`, `boundary` for cards
that leave them to files which know them.
"""

import re
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from data_shards.card import MASK, CorpusCard, Side, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.hdf5 import refuse_foreign
from data_shards.prepared import channels_in_order, rows_first
from data_shards.read import labels
from data_shards.read.raw import published
from data_shards.read.sequence import FileSequence, understood
from data_shards.read.split_name import file_split, proved
from data_shards.trajectory import Trajectory

_SUFFIXES = (".hdf5", ".h5")


class ProcessedOptions(Config):
    """Reader's options on the card."""

    axes: Literal["by_corpus", "xy", "yx"] = "by_corpus"
    channels: tuple[str, ...] | None = None  # None: as the corpus's preparation orders them
    mask: Literal["cut", "fractional"] = "cut"
    dt_s: PositiveFloat | None = None
    extent: tuple[float, ...] | None = None
    boundary: dict[str, Side] | None = None


class ProcessedCorpus:
    """One split; see `RawCorpus`."""

    notes: tuple[str, ...] = ()

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Find and check the files; see `open_corpus`."""
        where = f"card {card.name}, published.options"
        options = ProcessedOptions.read(published(card).options, where)
        self._card = card
        self._rows_first = options.axes == "yx" or (
            options.axes == "by_corpus" and rows_first(card)
        )
        self._fractional = options.mask == "fractional"
        self._channels = options.channels or channels_in_order(card)
        lost = [name for name in card.channel_names if name not in self._channels]
        if lost:
            raise UserError(f"{where}: channels lack {', '.join(lost)} of the card; name all")
        dt_s, extent = options.dt_s or card.dt_s, options.extent or card.extent
        boundary = options.boundary or card.boundary
        if dt_s is None or extent is None or boundary is None:
            raise UserError(
                f"{where}: dt_s={dt_s}, extent={extent}, boundary={boundary}; prepared files do "
                "not tell them and neither does the card: give these options in a card of your own"
            )
        self._dt_s, self._extent, self._boundary = dt_s, extent, boundary
        self.split_known, self._scattered, self.sources = _files(split, path)
        self._files = FileSequence(self.sources, self._count)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory of the split."""
        file, path, local = self._files.place(number)
        with understood(path):
            dataset = file["data"]
            lead = () if self._scattered else (local,)
            whole = dataset.ndim - len(lead) == 4
            # Padding may be as wide as the file likes, and is not read.
            known = (..., slice(0, len(self._channels))) if whole else ()
            values = np.asarray(dataset[(*lead, *known)], np.float32)
        if not whole:
            values = values[..., None]
        order = (2, 3, 0, 1) if self._rows_first else (2, 3, 1, 0)
        frames = values.transpose(order)  # (T, C, y, x)
        picked = [self._channels.index(name) for name in self._card.channel_names]
        return Trajectory(
            fields=np.ascontiguousarray(frames[:, picked]),
            corpus=self._card.name,
            index=number,
            seed=-1,
            dt_s=self._dt_s,
            extent=self._extent,
            boundary={side: str(kind) for side, kind in self._boundary.items()},
            parameters=labels.parameters(self._card, {}, path),
            mask=self._mask(frames),
        )

    def close(self) -> None:
        """Release the open file."""
        self._files.close()

    def _mask(self, frames: NDArray[np.float32]) -> NDArray[np.float32] | None:
        if MASK not in self._channels or self._channels.index(MASK) >= frames.shape[1]:
            return None
        mask = frames[0, self._channels.index(MASK)].copy()
        if not self._fractional:
            mask = (mask >= 0.5).astype(np.float32)
        return None if mask.all() else mask

    def _count(self, file: h5py.File, path: Path) -> int:
        """Trajectories of a file, whose shape must be the card's."""
        dataset = file.get("data")
        known = ", ".join(list(file)[:12]) or "nothing"
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind != "f":
            raise UserError(f"{path}: no dataset 'data' of floating-point numbers, only: {known}")
        refuse_foreign(dataset, file)
        shape = dataset.shape if self._scattered else dataset.shape[1:]
        card = self._card
        grid = card.native_grid if self._rows_first else card.native_grid[::-1]
        needed = max(self._channels.index(name) for name in card.channel_names) + 1
        whole = shape if len(shape) == 4 else (*shape, 1)
        if len(whole) != 4 or whole[:3] != (*grid, card.frames) or whole[3] < needed:
            lead = "" if self._scattered else "N, "
            axes = "y, x, T, C" if self._rows_first else "x, y, T, C"
            raise UserError(
                f"{path}: data is {dataset.shape}, that of {card.name} ({lead}{axes}) with "
                f"{(*grid, card.frames)} and {needed} channels or more "
                f"({', '.join(self._channels)}); choose the card that the file belongs to, or set "
                "the options axes and channels of a card of your own"
            )
        return 1 if self._scattered else int(dataset.shape[0])


def _files(split: Split, path: Path) -> tuple[bool, bool, tuple[Path, ...]]:
    """Whether names say the split, whether there is one trajectory per file, and the files."""
    if path.is_file():
        return proved(split, path), False, (path,)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder")
    folder = path / split if (path / split).is_dir() else path
    if scattered := _scattered(folder):
        return proved(split, folder), True, scattered
    whole = [f for f in sorted(path.iterdir()) if f.suffix in _SUFFIXES and file_split(f) == split]
    if len(whole) != 1:
        hint = "; the preparation keeps no validation split" if split == "validation" else ""
        raise UserError(
            f"{path}: holds no folder {split!r} of data_0.hdf5, ... and {len(whole)} files named "
            f"*_{split}.hdf5, wanted one of these{hint}; a file of any name is given itself"
        )
    return True, False, (whole[0],)


def _scattered(folder: Path) -> tuple[Path, ...]:
    """`data_0.hdf5`, `data_1.hdf5`, ... in the order of their numbers."""
    pattern = re.compile(r"data_(\d+)\.(?:hdf5|h5)")
    found = {int(m[1]): file for file in folder.iterdir() if (m := pattern.fullmatch(file.name))}
    missing = [number for number in range(max(found, default=-1)) if number not in found]
    if missing:
        raise UserError(
            f"{folder}: holds no data_{missing[0]}.hdf5, but later ones; prepare or fetch it too"
        )
    return tuple(found[number] for number in sorted(found))


def open_corpus(card: CorpusCard, split: Split, path: Path) -> ProcessedCorpus:
    """Open one split of prepared files.

    Raises:
        UserError: files are missing, damaged or other than the card says.
    """
    return ProcessedCorpus(card, split, path)
