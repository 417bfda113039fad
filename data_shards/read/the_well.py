"""Reader of any data set of The Well (polymathic-ai.org/the_well), in two and three dimensions.

In: `data/{train,valid,test}/*.hdf5`, see `well_file`. Out: fields (T, C, y, x) or
(T, C, z, y, x); one channel per component of a vector or tensor; fields that are
constant in time are repeated; scalars as parameters; sides as periodic, wall or open.
Coordinates that fall are turned round, so that rows run upwards.

Channels are picked by the card's names, so a card may leave some out. For a data
set without a card `draft_card` writes one from the files.

Options of the card: `segments: true` cuts long trajectories into pieces of the
card's frames, the rest is left out; `unequal_cells: true` takes grids with cells
of unequal size as they are, which models here do not see.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.read import labels
from data_shards.read.raw import published
from data_shards.read.sequence import FileSequence, understood
from data_shards.read.well_draft import draft_card
from data_shards.read.well_file import Component, WellFile, outer_edges, turned
from data_shards.read.well_folder import split_files
from data_shards.trajectory import Trajectory

__all__ = ["WellCorpus", "WellOptions", "draft_card", "open_corpus"]

# Simulations with steps of their own reach the times of output nearly.
JITTER, SLACK = 0.1, 0.01  # of a step; of the mean step


class WellOptions(Config):
    """Reader's options on the card."""

    segments: bool = False
    unequal_cells: bool = False


class WellCorpus:
    """One split; see `RawCorpus`."""

    notes: tuple[str, ...] = ()

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Find and check the files; see `open_corpus`."""
        where = f"card {card.name}, published.options"
        self._options = WellOptions.read(published(card).options, where)
        self._card = card
        self.split_known, files = split_files(split, path)
        self.sources: tuple[Path, ...] = files
        self._files = FileSequence(self.sources, self._count)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory, or piece of one, of the split."""
        file, path, local = self._files.place(number)
        card = self._card
        with understood(path):
            well = WellFile(file, path)
            sample, piece = divmod(local, self._pieces(well))
            start = piece * card.frames
            times, centres = well.times(sample)[start:], well.centres(sample)
            falling = [axis for axis, values in centres.items() if values[0] > values[-1]]
            fields = self._fields(well, sample, start, falling)
            boundary, scalars = well.boundary(sample), well.scalars(sample)
        rising = {a: values[::-1] if a in falling else values for a, values in centres.items()}
        return Trajectory(
            fields=fields,
            corpus=card.name,
            index=number,
            seed=-1,
            dt_s=self._dt_s(times, path),
            extent=self._extent(rising, path),
            boundary=turned(boundary, falling),
            parameters=labels.parameters(card, scalars, path),
        )

    def close(self) -> None:
        """Release the open file."""
        self._files.close()

    def _count(self, file: h5py.File, path: Path) -> int:
        """Trajectories of a file, whose shape must be the card's."""
        well, card = WellFile(file, path), self._card
        self._picked(well)
        enough = well.frames >= card.frames
        if well.grid != card.native_grid or not enough or self._pieces(well) * card.frames == 0:
            raise UserError(
                f"{path}: has {well.frames} frames of {well.grid}, {card.name} {card.frames} of "
                f"{card.native_grid}; choose the card that the file belongs to"
            )
        if well.frames != card.frames and not self._options.segments:
            raise UserError(
                f"{path}: has {well.frames} frames, {card.name} {card.frames}; set segments: true "
                "among the published options of the card to cut them"
            )
        return well.samples * self._pieces(well)

    def _pieces(self, well: WellFile) -> int:
        return well.frames // self._card.frames if self._options.segments else 1

    def _picked(self, well: WellFile) -> list[Component]:
        """The card's channels among the file's."""
        offered = {component.name: component for component in well.components()}
        missing = [name for name in self._card.channel_names if name not in offered]
        if missing:
            raise UserError(
                f"{well.path}: has no {', '.join(missing)} of {self._card.name}, only: "
                f"{', '.join(offered)}; correct the card's channels"
            )
        return [offered[name] for name in self._card.channel_names]

    def _fields(
        self, well: WellFile, sample: int, start: int, falling: list[str]
    ) -> NDArray[np.float32]:
        card = self._card
        fields = np.empty((card.frames, len(card.channels), *well.grid), np.float32)
        picked = self._picked(well)
        for field in dict.fromkeys(component.field for component in picked):
            channels = [n for n, component in enumerate(picked) if component.field == field]
            outs = [fields[:, channel] for channel in channels]
            well.fill(outs, [picked[channel] for channel in channels], sample, start)
        turned = tuple(-1 - "xyz".index(axis) for axis in falling)
        return np.ascontiguousarray(np.flip(fields, turned)) if turned else fields

    def _dt_s(self, times: NDArray[np.float64], path: Path) -> float:
        if self._card.frames == 1:
            return self._card.dt_s or 1.0
        return labels.time_step(times, self._card, path, jitter=JITTER, slack=SLACK)

    def _extent(self, centres: dict[str, NDArray[np.float64]], path: Path) -> tuple[float, ...]:
        if self._options.unequal_cells:
            return tuple(edge for values in centres.values() for edge in outer_edges(values))
        try:
            return labels.extent(centres, self._card, path)
        except UserError as error:
            hint = "set unequal_cells: true among the published options to take unequal cells"
            raise UserError(f"{error} ({hint})" if "unequal" in str(error) else error) from None


def open_corpus(card: CorpusCard, split: Split, path: Path) -> WellCorpus:
    """Open one split of a data set.

    Raises:
        UserError: files are missing, damaged or other than the card says.
    """
    return WellCorpus(card, split, path)
