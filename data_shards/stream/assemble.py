"""Samples in, a batch out: the one place where fields are laid out as a model takes them.

Axes: B samples, T frames, C channels of the model, c channels of the fields, S the model's grid.
Training, evaluation, `Surrogate` and reports on a user's own file all come through `to_batch`,
so that none of them shows a model anything that it was not trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout, Placement, Places, asked_mask, fit
from data_shards.stream.origin import Origin

Fields = Tensor | Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class Samples:
    """Samples of one corpus, before they are laid out.

    Attributes:
        given: an array (T_in, c, *grid) per sample, on a grid of its own; or one tensor
            (B, T_in, c, *S) on the model's, on any device.
        asked: (T_out, c, *grid) or (B, T_out, c, *S) likewise; None if nothing is asked.
        fluid: (B, *S), the share of fluid in every cell of the model's grid; None: all fluid.
        placement: where the channels go.
        keys: names (B), for reports.
        origins: where they come from (B); asked for where parameters fill channels.
        corpus_id: position in the run's list of corpora.
    """

    given: Fields
    asked: Fields | None
    fluid: Tensor | None
    placement: Placement
    keys: tuple[str, ...]
    origins: tuple[Origin, ...] = ()
    corpus_id: int = 0

    def __len__(self) -> int:
        return len(self.keys)


def to_batch(groups: Sequence[Samples], layout: ModelLayout) -> Batch:
    """Lay samples out as a model takes them.

    Args:
        groups: of one number of given and asked frames.
        layout: grid and channels of the model.

    Returns:
        All samples in order, on the device of the first group's fields.
    """
    first = groups[0]
    device = first.given.device if isinstance(first.given, Tensor) else torch.device("cpu")
    count = sum(len(group) for group in groups)
    asked_frames = 0 if first.asked is None else first.asked[0].shape[0]
    shape = (count, first.given[0].shape[0], layout.channels, *layout.grid)
    given = torch.empty(shape, device=device)
    asked = torch.empty(count, asked_frames, layout.num_asked, *layout.grid, device=device)
    valid = torch.ones(count, 1, *layout.grid, device=device)
    row = 0
    for group in groups:
        rows = slice(row, row + len(group))
        _lay_out(given[rows], group.given, group.placement.given, group)
        if group.asked is not None:
            _lay_out(asked[rows], group.asked, group.placement.asked, group)
        if group.fluid is not None:
            valid[rows, 0] = (group.fluid >= 0.5).to(valid)
        row += len(group)
    masks = [asked_mask(group.placement, layout).expand(len(group), -1) for group in groups]
    ids = [group.corpus_id for group in groups for _ in group.keys]
    return Batch(
        given=given,
        asked=asked,
        asked_mask=torch.cat(masks).to(device),
        valid_mask=valid,
        corpus_id=torch.tensor(ids, device=device),
        keys=tuple(key for group in groups for key in group.keys),
        origins=tuple(origin for group in groups for origin in group.origins),
    )


def _lay_out(out: Tensor, fields: Fields, places: Places, group: Samples) -> None:
    """Fill one side of a batch (B, T, C, *S), every channel of it."""
    for run in places.runs:
        _write(out[:, :, run.to : run.to + run.count], fields, run.source)
    for channel, name in places.constants:
        values = [_parameter(origin, name, key) for origin, key in _described(group)]
        column = torch.tensor(values, device=out.device, dtype=out.dtype)
        out[:, :, channel] = column.view(-1, *(1,) * (out.ndim - 2))
    if places.mask is not None:
        out[:, :, places.mask] = 1.0 if group.fluid is None else group.fluid[:, None].to(out)
    for channel in places.rest:
        out[:, :, channel] = places.fill


def _write(out: Tensor, fields: Fields, source: int) -> None:
    """Copy the channels of all samples from `source` on, resized where they are arrays."""
    count = out.shape[2]
    if isinstance(fields, Tensor):
        out.copy_(fields[:, :, source : source + count])
        return
    for row, frames in zip(out.numpy(), fields, strict=True):
        fit(row, frames[:, source : source + count])


def _described(group: Samples) -> list[tuple[Origin, str]]:
    return list(zip(group.origins, group.keys, strict=True))


def _parameter(origin: Origin, name: str, key: str) -> float:
    try:
        return (origin.parameters or {})[name]
    except KeyError:
        raise UserError(
            f"{key}: no number {name}, which its card gives; build the corpus again"
        ) from None
