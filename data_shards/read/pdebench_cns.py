"""Reader of PDEBench's compressible Navier-Stokes files (`2D_CFD_*.hdf5`).

In: one HDF5 file with a dataset per channel, float32 (N, T, x, y) - x before
y, as the published generator orders its arrays - `x-coordinate` and
`y-coordinate` at cell centres, `t-coordinate` with one entry more than there
are frames, attributes `eta`, `zeta`, `M`. About 55 GB, contiguous.
Out: fields (T, C, y, x), channels in the card's order.

Options of the card: `parameters` maps names of parameters to attributes; what has no
attribute is looked for in the name, `..._M0.1_Eta0.01_...`.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.blocks import BLOCK_BYTES, SampleBlocks
from data_shards.formats.hdf5 import find_coordinate, find_dataset, legible, open_hdf5
from data_shards.read import labels
from data_shards.read.raw import (
    boundary_of,
    own_card,
    published,
    raw_file,
    rows_and_columns,
    split_range,
)
from data_shards.trajectory import Trajectory

AXES = ("N", "T", "x", "y")


class CnsOptions(Config):
    """Reader's options on the card."""

    parameters: dict[str, str] = Field(default_factory=dict)  # name on the card: attribute


class CnsCorpus:
    """One split of a file; see `RawCorpus`."""

    split_known: bool = True
    notes: tuple[str, ...] = ()

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Open a file; see `open_corpus`."""
        options = CnsOptions.read(published(card).options, f"card {card.name}, published.options")
        self._path = raw_file(card, path)
        self._card = card
        self.sources: tuple[Path, ...] = (self._path,)
        self._file = open_hdf5(self._path)
        try:
            channels = [find_dataset(self._file, name, AXES) for name in card.channel_names]
            shape = self._common_shape(channels)
            self._numbers = split_range(card, split, shape[0], self._path)
            share = BLOCK_BYTES // len(channels)
            self._blocks = [SampleBlocks(c, 0, self._numbers, share) for c in channels]
            self._labels = self._read_labels(options)
        except UserError:
            self.close()
            raise

    def _common_shape(self, channels: list[Any]) -> tuple[int, ...]:
        rows, columns = rows_and_columns(self._card)
        shapes = {channel.shape for channel in channels}
        wanted = (self._card.frames, columns, rows)
        if len(shapes) > 1 or channels[0].shape[1:] != wanted:
            came = ", ".join(str(shape) for shape in sorted(shapes))
            raise UserError(
                f"{self._path}: channels are {came}, those of {self._card.name} (N, T, x, y) with "
                f"(T, x, y) = {wanted}; choose the card that the file belongs to, or "
                f"{own_card(self._card, 'native_grid and frames')}"
            )
        shape: tuple[int, ...] = channels[0].shape
        return shape

    def _read_labels(self, options: CnsOptions) -> dict[str, Any]:
        """What all trajectories of the file share."""
        card, path, file = self._card, self._path, self._file
        coordinates = {
            axis: find_coordinate(file, f"{axis}-coordinate", axis) for axis in ("t", "x", "y")
        }
        times = coordinates.pop("t")
        wanted = options.parameters.items()
        with legible(path):
            found = {name: file.attrs[key] for name, key in wanted if key in file.attrs}
        found = _in_name(path.name, dict(wanted)) | found
        unsaid = [name for name, _ in wanted if name in card.parameters and name not in found]
        if unsaid:
            self.notes = (
                f"{path.name}: neither its attributes nor its name (_M0.1_Eta0.01_, as published) "
                f"say {', '.join(unsaid)}; that it is {card.name} is taken on trust",
            )
        return {
            "dt_s": labels.time_step(times, card, path),
            "extent": labels.extent(coordinates, card, path),
            "boundary": boundary_of(card),
            "parameters": labels.parameters(card, found, path),
        }

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory of the split."""
        index = self._numbers[number]
        with legible(self._path):
            channels = [block.sample(index) for block in self._blocks]
        with np.errstate(over="ignore"):  # becomes infinite, which the writer refuses by name
            stacked_TCxy = np.stack(channels, axis=1, dtype=np.float32, casting="same_kind")
        return Trajectory(
            fields=np.ascontiguousarray(stacked_TCxy.swapaxes(2, 3)),
            corpus=self._card.name,
            index=index,
            seed=-1,
            **self._labels,
        )

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _in_name(name: str, wanted: dict[str, str]) -> dict[str, float]:
    """Parameters that a file's name says: `2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic...`."""
    number = r"(\d+(?:\.\d+)?(?:e-?\d+)?)(?=_|$)"
    said = {
        ours: re.search(f"_{re.escape(key)}{number}", Path(name).stem, re.IGNORECASE)
        for ours, key in wanted.items()
    }
    return {ours: float(match[1]) for ours, match in said.items() if match}


def open_corpus(card: CorpusCard, split: Split, path: Path) -> CnsCorpus:
    """Open the published file of a corpus.

    Raises:
        UserError: the file is missing, damaged or other than the card says.
    """
    return CnsCorpus(card, split, path)
