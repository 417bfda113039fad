"""Reader of PDEBench files with a group per trajectory: `2D_rdb`, `2D_diff-react`, `1D_diff-sorp`.

In: groups "0000", "0001", ... with `data` float32 (T, ., ., C) or, in one
dimension, (T, x, C), `grid/{x,y,t}` at cell centres, and the settings of the
run as YAML text: attribute `config` of the group, or `0000/config` of the file
(the diffusion-sorption generator writes it there). `diff-*` are packed by lzf.
Out: fields (T, C, y, x); one dimension gives one row.

Options of the card: `axes`, order of the spatial axes of `data`, and
`parameters`, which maps names of parameters to entries under `sim`. The order
differs: the dam break keeps clawpack's (x, y); diffusion-reaction unrolls its
state with x running fastest, so (y, x), though its documentation says (x, y).
"""

from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import yaml
from pydantic import Field

from data_shards.card import CorpusCard, Split
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.formats.hdf5 import (
    find_coordinate,
    find_dataset,
    legible,
    open_hdf5,
    refuse_foreign,
)
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

SpatialAxes = (
    tuple[Literal["x"]] | tuple[Literal["x"], Literal["y"]] | tuple[Literal["y"], Literal["x"]]
)


_MOST_DIGITS = 9  # of a number; Python reads no more than some thousand


class GroupsOptions(Config):
    """Reader's options on the card."""

    axes: SpatialAxes | None = None  # None: (x) where the card's grid is one row, else (x, y)
    parameters: dict[str, str] = Field(default_factory=dict)  # name on the card: name in `sim`


class GroupsCorpus:
    """One split of a file; see `RawCorpus`."""

    split_known: bool = True
    notes: tuple[str, ...] = ()

    def __init__(self, card: CorpusCard, split: Split, path: Path) -> None:
        """Open a file; see `open_corpus`."""
        where = f"card {card.name}, published.options"
        self._options = GroupsOptions.read(published(card).options, where)
        self._path = raw_file(card, path)
        self._card = card
        self._axes: tuple[str, ...] = self._options.axes or (
            ("x",) if card.native_grid[0] == 1 else ("x", "y")
        )
        self.sources: tuple[Path, ...] = (self._path,)
        self._file = open_hdf5(self._path)
        try:
            self._names = self._group_names()
            self._numbers = split_range(card, split, len(self._names), self._path)
        except UserError:
            self.close()
            raise

    def _group_names(self) -> list[str]:
        """Groups of trajectories in the order of their numbers."""
        with legible(self._path):
            everything = [str(name) for name in self._file]
        numbered = (name for name in everything if name.isdecimal() and len(name) <= _MOST_DIGITS)
        names = sorted(numbered, key=int)
        if not names:
            others = ", ".join(everything[:12]) or "nothing"
            raise UserError(
                f"{self._path}: no groups named 0000, 0001, ... for trajectories; there is {others}"
            )
        missing = next((place for place, name in enumerate(names) if int(name) != place), None)
        if missing is not None:
            raise UserError(
                f"{self._path}: holds no group {missing:04d}, but later ones; fetch it again: the "
                "trajectories would be counted wrongly, and so split"
            )
        return names

    def __len__(self) -> int:
        return len(self._numbers)

    def read(self, number: int) -> Trajectory:
        """The number-th trajectory of the split."""
        index = self._numbers[number]
        card, path = self._card, self._path
        with legible(path):
            group = self._file[self._names[index]]
        if not isinstance(group, h5py.Group):
            raise UserError(f"{path}: {self._names[index]} is no group; wanted `data` and `grid`")
        refuse_foreign(group, self._file)
        coordinates = self._coordinates(group)
        times = coordinates.pop("t")
        return Trajectory(
            fields=self._fields(group),
            corpus=card.name,
            index=index,
            seed=-1,
            dt_s=labels.time_step(times, card, path),
            extent=self._extent({axis: coordinates[axis] for axis in sorted(self._axes)}),
            boundary=boundary_of(card),
            parameters=labels.parameters(card, self._found(group), path),
        )

    def _fields(self, group: h5py.Group) -> Any:
        """The data of a group as (T, C, y, x)."""
        spatial = self._axes
        data = find_dataset(group, "data", ("T", *spatial, "C"))
        card = self._card
        cells = dict(zip(("y", "x"), rows_and_columns(card), strict=True))
        wanted = (card.frames, *(cells[axis] for axis in spatial), len(card.channels))
        if data.shape != wanted:
            raise UserError(
                f"{self._path}: {data.name} is {data.shape}, those of {card.name} are {wanted}; "
                "choose the card that the file belongs to, or "
                f"{own_card(card, 'native_grid and frames')}"
            )
        with legible(self._path):
            values = data[()]
        if len(spatial) == 1:
            values = values[:, None]
        elif spatial == ("x", "y"):
            values = values.swapaxes(1, 2)
        with np.errstate(over="ignore"):  # becomes infinite, which the writer refuses by name
            return np.ascontiguousarray(np.moveaxis(values, 3, 1), dtype=np.float32)

    def _coordinates(self, group: h5py.Group) -> dict[str, Any]:
        return {axis: find_coordinate(group, f"grid/{axis}", axis) for axis in ("t", *self._axes)}

    def _extent(self, centres: dict[str, Any]) -> tuple[float, ...]:
        edges = labels.extent(centres, self._card, self._path)
        if len(edges) == 4:
            return edges
        # One row has no height of its own; the card may give it one.
        return (*edges, *(self._card.extent or (0.0, 0.0, 0.0, 1.0))[2:4])

    def _found(self, group: h5py.Group) -> dict[str, Any]:
        """Parameters of the run under the card's names; none where its settings are not kept."""
        wanted = self._options.parameters
        name = group.name.lstrip("/")
        with legible(self._path):
            text = group.attrs.get("config", self._file.attrs.get(f"{name}/config"))
        if text is None or not wanted:
            return {}
        settings = self._settings(text, name)
        return {ours: settings[theirs] for ours, theirs in wanted.items() if theirs in settings}

    def _settings(self, text: Any, name: str) -> dict[str, Any]:
        try:
            settings = yaml.safe_load(text.decode() if isinstance(text, bytes) else text)
            return dict(settings["sim"])
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
            raise UserError(
                f"{self._path}: attribute config of {name} is no YAML with an entry `sim`; fetch "
                "the file again"
            ) from None

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def open_corpus(card: CorpusCard, split: Split, path: Path) -> GroupsCorpus:
    """Open the published file of a corpus.

    Raises:
        UserError: the file is missing, damaged or other than the card says.
    """
    return GroupsCorpus(card, split, path)
