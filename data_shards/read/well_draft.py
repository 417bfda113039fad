"""A card for a data set of The Well that has none: files in, what they tell out.

Units, equation and licence are not in the files; they stay "unknown" until a
person fills them in.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np

from data_shards.card import Channel, CorpusCard, PublishedFiles, Range, Side, Split
from data_shards.errors import UserError
from data_shards.formats.hdf5 import open_hdf5
from data_shards.read.sequence import understood
from data_shards.read.well_file import WellFile, outer_edges, turned
from data_shards.read.well_folder import FOLDERS, split_files

UNKNOWN = "unknown"
_CONTEXT_FRAMES = 10
_UNEQUAL = 0.04  # of a cell; single precision blurs the coordinates of a fine grid


def draft_card(path: Path, name: str) -> CorpusCard:
    """A card for a data set that has none: what its files tell, the rest "unknown".

    Args:
        path: as for `split_files`.
        name: of the corpus.

    Returns:
        A card of all channels; units, equation and licence are left to be filled in.

    Raises:
        UserError: there are no files, or they do not belong together.
    """
    drafts = [(split, _Draft(file)) for split in FOLDERS for file in _found(split, path)]
    if not drafts:
        split_files("train", path)  # says what is missing
    first = drafts[0][1]
    for _, draft in drafts:
        if (draft.grid, draft.frames, draft.names) != (first.grid, first.frames, first.names):
            raise UserError(
                f"{draft.path}: has {draft.frames} frames of {draft.grid}, channels "
                f"{', '.join(draft.names)}; {first.path} has {first.frames} of {first.grid}, "
                f"{', '.join(first.names)}: not one data set"
            )
    context = max(1, min(_CONTEXT_FRAMES, first.frames - 1))
    splits: dict[Split, int] = {}
    for split, draft in drafts:
        splits[split] = splits.get(split, 0) + draft.samples
    values = {
        "name": name,
        "title": first.title,
        "version": 1,
        "pde": first.title,
        "equation": UNKNOWN,
        "channels": tuple(Channel(name=channel, unit=UNKNOWN) for channel in first.names),
        "frames": first.frames,
        "dt_s": _common(draft.dt_s for _, draft in drafts),
        "native_grid": first.grid,
        "boundary": _common(draft.boundary for _, draft in drafts),
        "extent": _common(draft.extent for _, draft in drafts),
        "parameters": _ranges([draft.scalars for _, draft in drafts]),
        "context_frames": context,
        "rollout_frames": first.frames - context,
        "splits": splits,
        "published": PublishedFiles(
            reader="the_well",
            options={"unequal_cells": True} if any(d.unequal for _, d in drafts) else {},
        ),
        "source": f"files of The Well, data set {first.title}",
        "license": f"{UNKNOWN}: see the data set's README",
        "citation": "R. Ohana et al., The Well, NeurIPS 2024, arXiv:2412.00568",
    }
    return CorpusCard.read(values, f"{path}: the card that it would have")


class _Draft:
    """What one file says of its data set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_hdf5(path) as file, understood(path):
            well = WellFile(file, path)
            self.title, self.grid, self.frames = well.name, well.grid, well.frames
            self.samples = well.samples
            self.names = tuple(component.name for component in well.components())
            times = well.times(0)
            self.dt_s = float(np.diff(times).mean()) if len(times) > 1 else None
            centres = {axis: np.sort(values) for axis, values in well.centres(0).items()}
            self.extent = tuple(edge for v in centres.values() for edge in outer_edges(v))
            cells = [np.diff(values) for values in centres.values()]
            self.unequal = any(np.ptp(cell) > _UNEQUAL * cell.mean() for cell in cells)
            falling = [axis for axis, values in well.centres(0).items() if values[0] > values[-1]]
            sides = turned(well.boundary(0), falling)
            self.boundary = {side: cast(Side, kind) for side, kind in sides.items()}
            well.check_shapes()  # before anything is counted by what the file claims
            self.scalars = [well.scalars(sample) for sample in range(well.samples)]


def _found(split: Split, path: Path) -> tuple[Path, ...]:
    """The files of a split, none where there is no such split."""
    alone = path.is_file() or not any((path / p / FOLDERS[split]).is_dir() for p in ("", "data"))
    if alone and split != "train":
        return ()
    try:
        return split_files(split, path)[1]
    except UserError:
        return ()


def _common(values: Iterable[Any]) -> Any:
    """What all files agree on, to single precision; None where they differ."""
    first, *others = values
    for other in others:
        numbers = isinstance(first, float | tuple) and other is not None
        if not (np.allclose(other, first, rtol=1e-5) if numbers else other == first):
            return None
    return first


def _ranges(scalars: list[list[dict[str, float]]]) -> dict[str, Range]:
    found: dict[str, list[float]] = {}
    for file in scalars:
        for sample in file:
            for name, value in sample.items():
                found.setdefault(name, []).append(value)
    return {
        name: Range(low=min(values), high=max(values), unit=UNKNOWN)
        for name, values in found.items()
    }
