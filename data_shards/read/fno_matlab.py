"""Reader of the FNO authors' Navier-Stokes files (`ns_V*.mat`, `NavierStokes_V*.mat`).

In: a MATLAB file with `u` (N, X, Y, T), vorticity, and `t` (T), times; its
initial field `a` is before the first frame, so no frame of a trajectory. Read with reversed
axes, `u` is (T, y, x, N): already rows and columns, but one trajectory is
scattered over the whole file, so blocks of trajectories are read. Frames
beyond the card's are left out: copies of the 1e-4 file with 50 are about.
Out: fields (T, 1, y, x). x is MATLAB's first spatial axis: the published
solver takes the velocity along it as the derivative of the stream function
along the other. (MoE-POT's preparation swaps the two.)

The viscosity stands in the file's name alone.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.blocks import SampleBlocks
from data_shards.formats.hdf5 import legible, refuse_large
from data_shards.formats.matlab import open_matlab
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

MOST_FRAMES = 1000  # in the file, of one trajectory: they are read together
_VISCOSITY = re.compile(r"_V(\d(?:\.\d+)?e-?\d+)", re.IGNORECASE)


class FnoOptions(Config):
    """Reader's options on the card."""

    variable: str = Field(default="u", min_length=1)


class FnoCorpus:
    """One split of a file; see `RawCorpus`."""

    split_known: bool = True
    notes: tuple[str, ...] = ()

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Open a file; see `open_corpus`."""
        options = FnoOptions.read(published(card).options, f"card {card.name}, published.options")
        self._path = raw_file(card, path)
        self._card = card
        self.sources: tuple[Path, ...] = (self._path,)
        self._file = open_matlab(self._path)
        try:
            fields = self._checked(self._file.variable(options.variable), options.variable)
            self._numbers = split_range(card, split, fields.shape[-1], self._path)
            self._blocks = SampleBlocks(fields, -1, self._numbers)
            self._labels = self._read_labels()
        except UserError:
            self.close()
            raise

    def _checked(self, fields: Any, name: str) -> Any:
        card = self._card
        wanted = (card.frames, *rows_and_columns(card))
        shape = fields.shape
        fits = fields.ndim == 4 and wanted[0] <= shape[0] <= MOST_FRAMES
        fits = fits and shape[1:3] == wanted[1:]
        if not fits or fields.dtype.kind != "f":
            raise UserError(
                f"{self._path}: {name} is {fields.dtype} {shape[::-1]} as MATLAB sees it; that of "
                f"{card.name} is (N, X, Y, T) with (X, Y, T) = {wanted[::-1]}; choose the card "
                f"that the file belongs to, or {own_card(card, 'native_grid and frames')}"
            )
        return fields

    def _read_labels(self) -> dict[str, Any]:
        """What all trajectories of the file share."""
        card, path = self._card, self._path
        if card.extent is None:
            raise UserError(f"card {card.name}: extent is null, and the files do not tell it")
        stored = self._file.variable("t")
        refuse_large(stored.shape, "t", path)
        with legible(path):
            times = np.asarray(stored[...])
        viscosity = _VISCOSITY.search(path.name)
        found = {"viscosity": float(viscosity[1])} if viscosity else {}
        if not viscosity and "viscosity" in card.parameters:
            self.notes = (
                f"{path.name}: the name does not say the viscosity (_V1e-3, as published) and "
                f"nothing else in the file does; that it is {card.name} is taken on trust",
            )
        return {
            "dt_s": labels.time_step(times, card, path),
            "extent": card.extent,
            "boundary": boundary_of(card),
            "parameters": labels.parameters(card, found, path),
        }

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory of the split."""
        index = self._numbers[number]
        with legible(self._path):
            values = self._blocks.sample(index)[: self._card.frames]
        with np.errstate(over="ignore"):  # becomes infinite, which the writer refuses by name
            fields = np.ascontiguousarray(values[:, None], dtype=np.float32)
        return Trajectory(
            fields=fields, corpus=self._card.name, index=index, seed=-1, **self._labels
        )

    def initial_fields(self, most: int) -> NDArray[np.floating[Any]] | None:
        """Vorticity at t = 0 of the first trajectories of the file, (N, y, x); None without."""
        if "a" not in self._file.names():
            return None
        stored = self._file.variable("a")
        fits = stored.ndim == 3 and stored.shape[:2] == rows_and_columns(self._card)
        if not fits or stored.dtype.kind != "f" or stored.shape[2] < 1:
            return None
        with legible(self._path):
            fields: NDArray[np.floating[Any]] = np.asarray(stored[:, :, :most])
        return np.moveaxis(fields, 2, 0)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def open_corpus(card: CorpusCard, split: Split, path: Path) -> FnoCorpus:
    """Open the published file of a corpus.

    Raises:
        UserError: the file is missing, damaged or other than the card says.
    """
    return FnoCorpus(card, split, path)
