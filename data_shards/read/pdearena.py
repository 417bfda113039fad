"""Reader of PDEArena's smoke in a box (`NavierStokes2D_{train,valid,test}_SEED_BUOYANCY*.h5`).

In: a folder of many files, each with one group named after its split: `u`
(smoke), `vx`, `vy` float64 (N, T, x, y) - x before y, as the published generator
orders its arrays -, `dt`, `buo_y` (N), `x`, `y` (N, cells), wall to wall.
Out: fields (T, C, y, x), channels in the card's order; files in the order of
their names.
Source: pdedatagen of github.com/pdearena/pdearena. Smoke is given at the cells'
centres, vx on their left and vy on their lower faces (half a cell off, and 0 on
the left and lower wall); kept as published. Time steps are those of `dt`: what
`t` says is stretched by one frame in the published files.

Options of the card: `channels` maps channels to datasets, `parameters` names of
parameters to datasets (N).
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.hdf5 import find_dataset, refuse_foreign, refuse_large
from data_shards.read import labels
from data_shards.read.raw import boundary_of, published
from data_shards.read.sequence import FileSequence, understood
from data_shards.trajectory import Trajectory

GROUPS: dict[Split, str] = {"train": "train", "validation": "valid", "test": "test"}
AXES = ("N", "T", "x", "y")


class PdeArenaOptions(Config):
    """Reader's options on the card."""

    channels: dict[str, str] = Field(
        default_factory=lambda: {"vx": "vx", "vy": "vy", "density": "u"}
    )
    parameters: dict[str, str] = Field(default_factory=lambda: {"buoyancy": "buo_y"})


class PdeArenaCorpus:
    """One split of a folder; see `RawCorpus`."""

    split_known: bool = True
    notes: tuple[str, ...] = ()

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Find and check the files; see `open_corpus`."""
        where = f"card {card.name}, published.options"
        self._options = PdeArenaOptions.read(published(card).options, where)
        self._card = card
        self._group = GROUPS[split]
        missing = [name for name in card.channel_names if name not in self._options.channels]
        if missing:
            raise UserError(f"{where}: channels say no dataset for {', '.join(missing)}; add it")
        self.sources: tuple[Path, ...] = _files(card, split, path)
        self._files = FileSequence(self.sources, self._count)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory of the split."""
        file, path, local = self._files.place(number)
        card = self._card
        with understood(path):
            group = file[self._group]
        channels = [self._values(group, name, AXES, local, path) for name in self._datasets()]
        fields = np.stack(channels, axis=1, dtype=np.float32, casting="same_kind")  # (T, C, x, y)
        found = {
            ours: self._values(group, theirs, ("N",), local, path)
            for ours, theirs in self._options.parameters.items()
            if ours in card.parameters
        }
        return Trajectory(
            fields=np.ascontiguousarray(fields.swapaxes(2, 3)),
            corpus=card.name,
            index=number,
            seed=-1,
            dt_s=self._dt_s(group, local, path),
            extent=self._extent(group, local, path),
            boundary=boundary_of(card),
            parameters=labels.parameters(card, found, path),
        )

    def close(self) -> None:
        """Release the open file."""
        self._files.close()

    def _datasets(self) -> list[str]:
        return [self._options.channels[name] for name in self._card.channel_names]

    def _count(self, file: h5py.File, path: Path) -> int:
        card = self._card
        group = file.get(self._group)
        known = ", ".join(list(file)[:12]) or "nothing"
        if not isinstance(group, h5py.Group):
            raise UserError(
                f"{path}: has no group {self._group!r}, there is {known}; give the file or folder "
                "of the split that is wanted"
            )
        refuse_foreign(group, file)
        shapes = {find_dataset(group, name, AXES).shape for name in self._datasets()}
        rows, columns = card.native_grid
        wanted = (card.frames, columns, rows)
        if len(shapes) > 1 or next(iter(shapes))[1:] != wanted:
            came = ", ".join(str(shape) for shape in sorted(shapes))
            raise UserError(
                f"{path}: {', '.join(self._datasets())} are {came}, those of {card.name} "
                f"(N, T, x, y) with (T, x, y) = {wanted}; choose the card that the file belongs to"
            )
        return int(next(iter(shapes))[0])

    def _values(
        self, group: h5py.Group, name: str, axes: tuple[str, ...], local: int, path: Path
    ) -> NDArray[Any]:
        """One sample's entries of a dataset over all samples."""
        with understood(path):
            dataset = find_dataset(group, name, axes)
        if len(axes) == 2:
            refuse_large(dataset.shape[1:], dataset.name, path)
        if local >= dataset.shape[0]:
            raise UserError(
                f"{path}: {dataset.name} has {dataset.shape[0]} samples, the fields have more; "
                "fetch it again"
            )
        with understood(path):
            return np.asarray(dataset[local])

    def _dt_s(self, group: h5py.Group, local: int, path: Path) -> float:
        dt_s = float(self._values(group, "dt", ("N",), local, path))
        if not (np.isfinite(dt_s) and dt_s > 0):
            raise UserError(f"{path}: dt of sample {local} is {dt_s}; wanted a positive time")
        return dt_s

    def _extent(self, group: h5py.Group, local: int, path: Path) -> tuple[float, ...]:
        sides = {axis: self._values(group, axis, ("N", axis), local, path) for axis in ("x", "y")}
        if self._card.extent is not None:
            return labels.extent(sides, self._card, path)
        edges = tuple(float(end) for axis in ("x", "y") for end in sides[axis][[0, -1]])
        if not (edges[0] < edges[1] and edges[2] < edges[3]):
            raise UserError(
                f"{path}: x and y run from {edges[::2]} to {edges[1::2]}; wanted rising"
            )
        return edges


def _files(card: CorpusCard, split: Split, path: Path) -> tuple[Path, ...]:
    """The split's files; a single file may have any name."""
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder")
    pattern = f"NavierStokes2D_{GROUPS[split]}_*.h5"
    found = tuple(sorted(path.glob(pattern))) or tuple(sorted(path.rglob(pattern)))
    if not found:
        url = published(card).url
        raise UserError(
            f"{path}: holds no {pattern} for the {split} split of {card.name}"
            + (f"; they are published at {url}" if url else "")
        )
    return found


def open_corpus(card: CorpusCard, split: Split, path: Path) -> PdeArenaCorpus:
    """Open one split of the published files.

    Raises:
        UserError: files are missing, damaged or other than the card says.
    """
    return PdeArenaCorpus(card, split, path)
