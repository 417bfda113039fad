"""From a corpus's own grid and names to those of a model: which channel takes what.

Axes: T frames, C channels of the model, S its grid: (R, R) cells of a plane, (1, R) of a line,
(D, H, W) of a box.
A layout knows its given channels by place, as MoE-POT does (what a corpus has comes first, in
order, the obstacle mask follows where the card says so, and what is left over is filled with
ones), or by name (coefficients that an equation lacks are zero). Fields are resized bilinearly
(align_corners=False). Source: MoE-POT's preparation. Departure: a resized obstacle counts as
solid from one half on, so that `valid_mask` stays binary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt, model_validator
from torch import Tensor

from data_shards.card import MASK, CorpusCard
from data_shards.config import Config
from data_shards.errors import UserError


class ModelLayout(Config):
    """The grid and channels that a model takes, and how many it is asked for."""

    grid: tuple[PositiveInt, ...]
    channels: PositiveInt = 4  # given
    asked_channels: PositiveInt | None = None  # None: as many as are given
    slots: tuple[str, ...] = ()  # names of the given channels; empty: by place

    @model_validator(mode="after")
    def _slots_are_the_channels(self) -> Self:
        if self.slots and len(self.slots) != self.channels:
            raise ValueError(
                f"slots name {len(self.slots)} channels, channels={self.channels}; make them equal"
            )
        if len(set(self.slots)) < len(self.slots):
            raise ValueError(f"slots {list(self.slots)} name one twice; name each once")
        if not 2 <= len(self.grid) <= 3:
            raise ValueError(f"grid={list(self.grid)}; wanted (1, R), (R, R) or (D, H, W)")
        return self

    @property
    def resolution(self) -> int:
        """Cells along x."""
        return self.grid[-1]

    @property
    def num_asked(self) -> int:
        """Channels that are predicted."""
        return self.asked_channels or self.channels


def square(resolution: int, channels: int = 4) -> ModelLayout:
    """A plane of as many rows as columns, with channels by place."""
    return ModelLayout(grid=(resolution, resolution), channels=channels)


@dataclass(frozen=True)
class Run:
    """Neighbouring channels of the fields that go to neighbouring channels of the model."""

    to: int
    source: int
    count: int


@dataclass(frozen=True)
class Places:
    """What goes into each channel of one side of a batch.

    Attributes:
        runs: of channels of the fields.
        constants: channel of the model -> name of the parameter that fills it.
        mask: channel that the obstacle mask fills, if any.
        rest: channels that nothing fills.
        fill: what they hold instead.
    """

    runs: tuple[Run, ...]
    constants: tuple[tuple[int, str], ...]
    mask: int | None
    rest: tuple[int, ...]
    fill: float


@dataclass(frozen=True)
class Placement:
    """Where the channels of one corpus go in one layout.

    Attributes:
        given: what a model is given.
        asked: what it is asked.
        num_asked: how many of the asked channels are real; they come first.
    """

    given: Places
    asked: Places
    num_asked: int


def placement_of(card: CorpusCard, layout: ModelLayout) -> Placement:
    """Where a corpus goes in a layout.

    Raises:
        UserError: the layout has other dimensions, too few channels, no slot for something that
            the card gives, or another number of cells than a system has states.
    """
    _check_grid(card, layout)
    names = _by_name(card, layout) if layout.slots else _by_place(card, layout)
    asked = list(card.asked_names)
    if len(asked) > layout.num_asked:
        raise UserError(
            f"corpus {card.name} asks for {', '.join(asked)}, the model predicts "
            f"{layout.num_asked} channels; raise its asked_channels to {len(asked)}"
        )
    given = _places(card, names, 0.0 if layout.slots else 1.0)
    if not (card.asked or card.given or layout.slots or layout.asked_channels):
        return Placement(given, given, len(asked))  # one layout of the same fields
    padded = [*asked, *[None] * (layout.num_asked - len(asked))]
    return Placement(given, _places(card, padded, 1.0), len(asked))


def check_fits(card: CorpusCard, layout: ModelLayout) -> None:
    """Refuse a corpus that the model cannot take; see `placement_of`."""
    placement_of(card, layout)


def placed_in_order(channels: int, obstacle: bool, layout: ModelLayout) -> Placement:
    """Fields without a card: their channels first, then the obstacle, if the layout has room."""
    mask = channels if obstacle and channels < layout.channels else None
    first_free = channels + (mask is not None)
    rest = tuple(range(first_free, layout.channels))
    places = Places((Run(0, 0, channels),), (), mask, rest, 1.0)
    asked = min(channels, layout.num_asked)
    return Placement(places, places, asked)


def placed_by_name(
    fields: Sequence[str], parameters: Sequence[str], layout: ModelLayout
) -> Placement:
    """Named fields and parameters without a card: each in its slot, absent ones zero.

    Raises:
        UserError: the layout knows no names, or not one of these.
    """
    if not layout.slots:
        raise UserError("the model knows its channels by place, not by name; give it all in order")
    for name in (*fields, *parameters):
        if name not in layout.slots:
            raise UserError(f"the model has no slot for {name}; it takes {', '.join(layout.slots)}")
    runs = tuple(Run(layout.slots.index(name), i, 1) for i, name in enumerate(fields))
    constants = tuple((layout.slots.index(name), name) for name in parameters)
    taken = {*fields, *parameters, MASK}
    mask = layout.slots.index(MASK) if MASK in layout.slots and MASK not in fields else None
    rest = tuple(i for i, slot in enumerate(layout.slots) if slot not in taken)
    nothing = Places((), (), None, tuple(range(layout.num_asked)), 0.0)
    return Placement(Places(runs, constants, mask, rest, 0.0), nothing, layout.num_asked)


def unlabelled(placement: Placement) -> Placement:
    """The same, but nothing is asked: labels that may be in the shards are not shown."""
    fields = placement.asked
    filled = [*fields.rest, *(run.to + i for run in fields.runs for i in range(run.count))]
    filled += [to for to, _ in fields.constants] + [m for m in (fields.mask,) if m is not None]
    nothing = Places((), (), None, tuple(sorted(filled)), 0.0)
    return Placement(placement.given, nothing, 0)


def asked_mask(placement: Placement, layout: ModelLayout) -> Tensor:
    """1 for channels that are predicted and scored, 0 for the rest, (C_out,)."""
    mask = torch.zeros(layout.num_asked)
    mask[: placement.num_asked] = 1.0
    return mask


def fit(out: NDArray[np.float32], frames: NDArray[np.floating]) -> None:
    """Write frames (T, C, *grid) into (T, C, *S), resized if need be.

    Raises:
        UserError: a box of another size; only planes and lines are resized.
    """
    if frames.shape[2:] == out.shape[2:]:
        out[:] = frames  # one copy, from the page cache to the batch
        return
    if frames.ndim != 4 or out.ndim != 4:
        raise UserError(
            f"fields on a grid of {frames.shape[2:]} are not resized to {out.shape[2:]}; "
            "generate them at the model's resolution"
        )
    from data_shards.resize import resize_into  # loads numba, which takes half a second

    resize_into(out, frames.astype(np.float32, copy=False))


def resize(frames: NDArray[np.floating], grid: tuple[int, ...]) -> Tensor:
    """Frames (T, C, *own grid) on another grid, bilinear; a copy, float32."""
    result = np.empty((*frames.shape[:2], *grid), np.float32)
    fit(result, frames)
    return torch.from_numpy(result)


def resize_mask(mask: NDArray[np.floating], grid: tuple[int, ...]) -> Tensor:
    """Fluid fraction of every cell of the model's grid, (*S) in [0, 1]."""
    return resize(mask[None, None], grid)[0, 0]


def _check_grid(card: CorpusCard, layout: ModelLayout) -> None:
    dimensions = {2: "planes", 3: "boxes"}
    if len(card.native_grid) != len(layout.grid):
        own = "three-dimensional" if len(card.native_grid) == 3 else "a plane"
        raise UserError(
            f"corpus {card.name} is {own}, the model takes {dimensions[len(layout.grid)]}; "
            "leave it out"
        )
    if layout.grid[0] == 1 and card.native_grid[0] != 1:
        raise UserError(f"corpus {card.name} is of planes, the model takes lines; leave it out")
    if card.axis == "states" and card.native_grid != layout.grid:
        raise UserError(
            f"corpus {card.name} has {card.native_grid} states, the model takes {layout.grid}; "
            "states are not resampled: set the model's resolution to theirs"
        )


def _by_place(card: CorpusCard, layout: ModelLayout) -> list[str | None]:
    """What each channel takes: everything that the card gives, once, in order."""
    names = list(dict.fromkeys(one.name for one in card.offered))
    if len(names) > layout.channels:
        fields = len([name for name in names if name != MASK])
        mask = " and an obstacle mask" if MASK in names else ""
        raise UserError(
            f"corpus {card.name} has {fields} channels{mask}, the model takes "
            f"{layout.channels}; raise the model's channels to {len(names)} or leave the corpus out"
        )
    return [*names, *[None] * (layout.channels - len(names))]


def _by_name(card: CorpusCard, layout: ModelLayout) -> list[str | None]:
    """What each slot takes; nothing that the card gives may stay outside.

    What the card gives under several names, as a diffusion that is k11 and k22, is whole in the
    slot of its own name, or in all of the others. A slot for the mask takes it, said or not.
    """
    for name in dict.fromkeys(one.name for one in card.offered):
        aliases = [one.slot for one in card.offered if one.name == name and one.slot != name]
        absent = [alias for alias in aliases if alias not in layout.slots]
        if name not in layout.slots and (absent or not aliases):
            some = f" as {absent[0]}" if len(absent) < len(aliases) else ""
            raise UserError(
                f"corpus {card.name} gives {name}{some}, for which the model has no slot; it takes "
                f"{', '.join(layout.slots)}"
            )
    offered = {MASK: MASK} | {one.slot: one.name for one in card.offered}
    return [offered.get(slot) for slot in layout.slots]


def _places(card: CorpusCard, names: Sequence[str | None], fill: float) -> Places:
    channels = {name: i for i, name in enumerate(card.channel_names)}
    fields = [(to, channels[name]) for to, name in enumerate(names) if name in channels]
    constants = [(to, name) for to, name in enumerate(names) if name in card.parameters]
    return Places(
        runs=_runs(fields),
        constants=tuple((to, name) for to, name in constants if name not in channels),
        mask=names.index(MASK) if MASK in names else None,
        rest=tuple(to for to, name in enumerate(names) if name is None),
        fill=fill,
    )


def _runs(pairs: Sequence[tuple[int, int]]) -> tuple[Run, ...]:
    """(to, from) of single channels, neighbours joined."""
    runs: list[Run] = []
    for to, source in pairs:
        last = runs[-1] if runs else None
        if last and (last.to + last.count, last.source + last.count) == (to, source):
            runs[-1] = Run(last.to, last.source, last.count + 1)
        else:
            runs.append(Run(to, source, 1))
    return tuple(runs)
