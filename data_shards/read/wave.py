"""Reader of Poseidon's wave equations (`Wave-Layer.nc`, `Wave-Gauss.nc`).

In: netCDF 4, which is HDF5: `solution` float32 (N, T, x, y) and the wave speed
`c` (N, x, y), assembled in one file or in the pieces that are downloaded
(`solution_0.nc`, `solution_1.nc`, ..., `c_0.nc`, ...), which need not be assembled.
Out: fields (T, 1, y, x); x is the first spatial dimension in the files' own words.
Source: the data's cards (huggingface.co/camlab-ethz) and the loader of
github.com/camlab-ethz/poseidon for names and splits. MoE-POT and Poseidon's
targets are u alone, so c is left out by default.

Options of the card: `coefficient: channel` appends c, constant in time, as a
second channel.
"""

import re
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.hdf5 import find_dataset
from data_shards.read import labels
from data_shards.read.raw import boundary_of, own_card, published, raw_file, split_range
from data_shards.read.sequence import FileSequence, understood
from data_shards.trajectory import Trajectory

SOLUTION, SPEED = "solution", "c"
_AXES = {SOLUTION: ("N", "T", "x", "y"), SPEED: ("N", "x", "y")}


class WaveOptions(Config):
    """Reader's options on the card."""

    coefficient: Literal["none", "channel"] = "none"


class WaveCorpus:
    """One split; see `RawCorpus`."""

    split_known: bool = True
    notes: tuple[str, ...] = ()

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Find and check the files; see `open_corpus`."""
        options = WaveOptions.read(published(card).options, f"card {card.name}, published.options")
        names = (SOLUTION,) if options.coefficient == "none" else (SOLUTION, SPEED)
        if len(card.channels) != len(names):
            raise UserError(
                f"card {card.name}: has {len(card.channels)} channels, its coefficient option "
                f"{options.coefficient!r} gives {len(names)} ({', '.join(names)})"
            )
        if card.dt_s is None or card.extent is None:
            raise UserError(f"card {card.name}: dt_s and extent are not in the files; fill them in")
        self._card, self._dt_s, self._extent = card, card.dt_s, card.extent
        files = {name: _files(card, path, name) for name in names}
        self.sources: tuple[Path, ...] = tuple(
            dict.fromkeys(file for found in files.values() for file in found)
        )
        self._parts = {name: FileSequence(files[name], self._counter(name)) for name in names}
        counts = {name: len(part) for name, part in self._parts.items()}
        if len(set(counts.values())) > 1:
            raise UserError(f"{path}: trajectories of solution and c: {counts}; fetch all pieces")
        self._numbers = split_range(card, split, counts[SOLUTION], path)

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory of the split."""
        index = self._numbers[number]
        card = self._card
        frames = [self._values(SOLUTION, index)]
        if SPEED in self._parts:
            speed = self._values(SPEED, index)
            frames.append(np.broadcast_to(speed, (card.frames, *speed.shape)))
        fields = np.stack(frames, axis=1, dtype=np.float32, casting="same_kind")  # (T, C, x, y)
        return Trajectory(
            fields=np.ascontiguousarray(fields.swapaxes(2, 3)),
            corpus=card.name,
            index=index,
            seed=-1,
            dt_s=self._dt_s,
            extent=self._extent,
            boundary=boundary_of(card),
            parameters=labels.parameters(card, {}, self.sources[0]),
        )

    def close(self) -> None:
        """Release the open files."""
        for part in self._parts.values():
            part.close()

    def _counter(self, name: str) -> Any:
        rows, columns = self._card.native_grid
        wanted = {SOLUTION: (self._card.frames, columns, rows), SPEED: (columns, rows)}[name]

        def count(file: h5py.File, path: Path) -> int:
            shape: tuple[int, ...] = find_dataset(file, name, _AXES[name]).shape
            if shape[1:] != wanted:
                axes = ", ".join(_AXES[name])
                raise UserError(
                    f"{path}: {name} is {shape}, that of {self._card.name} ({axes}) with all but N "
                    f"{wanted}; choose the card that the file belongs to, or "
                    f"{own_card(self._card, 'native_grid and frames')}"
                )
            return shape[0]

        return count

    def _values(self, name: str, index: int) -> NDArray[Any]:
        file, path, local = self._parts[name].place(index)
        with understood(path):
            return np.asarray(file[name][local])


def _files(card: CorpusCard, path: Path, name: str) -> tuple[Path, ...]:
    """The assembled file, or the pieces of one variable in the order of their numbers."""
    pieces = {}
    if path.is_dir():
        for file in path.glob(f"{name}_*.nc"):
            if match := re.fullmatch(rf"{name}_(\d+)\.nc", file.name):
                pieces[int(match[1])] = file
    if not pieces or all((path / file.name).is_file() for file in published(card).files):
        return (raw_file(card, path),)
    missing = [number for number in range(max(pieces)) if number not in pieces]
    if missing:
        raise UserError(f"{path}: holds no {name}_{missing[0]}.nc, but later pieces; fetch it too")
    return tuple(pieces[number] for number in sorted(pieces))


def open_corpus(card: CorpusCard, split: Split, path: Path) -> WaveCorpus:
    """Open one split of the published files.

    Raises:
        UserError: files are missing, damaged or other than the card says.
    """
    return WaveCorpus(card, split, path)
