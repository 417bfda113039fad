"""From a forecast on the model's grid to what is scored: batch in, `Forecast` out.

Axes: B samples, T predicted frames, C channels, S cells of the model's grid or,
after the cut, of the scored grid: every `stride`-th cell along each axis from the
corner, `stride` = model resolution // resolution of the stored data, and the
corpus's asked channels. Source: MoE-POT (NeurIPS 2025), test protocol.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from data_shards.card import CorpusCard
from data_shards.errors import UserError, unknown_name
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout, placement_of
from data_shards.stream.windows import origin_of
from evaluation.metrics.equations import conserved, sides, solenoidal
from evaluation.metrics.expression import names_of
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.points import scored_points
from evaluation.tasks.task import Task


def scored_stride(layout: ModelLayout, corpus: ShardedCorpus) -> int:
    """Every which point of the model's grid is scored."""
    return max(1, layout.resolution // corpus.resolution)


def cut(fields: Tensor, card: CorpusCard, stride: int) -> Tensor:
    """Scored channels and points of fields (B, T, C, *S)."""
    return fields[:, :, : len(card.asked_names)][every_nth(fields.ndim - 3, stride)]


def every_nth(dimensions: int, stride: int) -> tuple[Any, ...]:
    """Index of every `stride`-th cell along the last axes; an axis of one cell stays."""
    return (..., *(slice(None, None, stride) for _ in range(dimensions)))


def cut_forecast(
    pred: Tensor,
    batch: Batch,
    corpus: ShardedCorpus,
    task: Task,
    layout: ModelLayout,
    stride: int,
    made: Tensor | None = None,
    members: Tensor | None = None,
) -> Forecast:
    """A forecast as metrics take it.

    Args:
        pred: on the model's grid (B, T, C, H, W), or already on the scored grid; frames
            beyond the truth may follow.
        batch: truth and masks on the model's grid.
        corpus: where the trajectories are from.
        task: the terms.
        layout: of the batch.
        stride: from `scored_stride`.
        made: the same as `pred` with all digits that the model gave, on the model's grid.
        members: of the ensemble whose mean it is (M, B, T, C, *S), on the model's grid.
    """
    true = cut(batch.asked, corpus.card, stride)
    if pred.shape[2:] != true.shape[2:]:
        pred = cut(pred, corpus.card, stride)
    solids_too = task.protocol == "reference"
    valid = torch.ones_like(batch.valid_mask) if solids_too else batch.valid_mask
    points = scored_points(batch.asked_mask[:, : true.shape[2]], valid)
    points = points[every_nth(true.ndim - 3, stride)]
    setting = setting_of(task, corpus.card, tuple(true.shape[3:]), layout.grid == corpus.entry.grid)
    known = true.shape[1]
    beyond = pred[:, known:] if pred.shape[1] > known else None
    given = given_fields(batch, corpus.card, layout, stride)
    digits = None if made is None else cut(made[:, :known], corpus.card, stride)
    if members is not None:
        setting = replace(setting, members=len(members))
        members = torch.stack([cut(each[:, :known], corpus.card, stride) for each in members])
    return Forecast(
        pred[:, :known], true, points, setting, batch.origins, beyond, given, digits, members
    )


def given_fields(
    batch: Batch, card: CorpusCard, layout: ModelLayout, stride: int
) -> dict[str, Tensor]:
    """Given fields on the scored grid by their channels' names, (B, T_in, *S) each."""
    cut_given = batch.given[every_nth(batch.given.ndim - 3, stride)]
    return {
        card.channel_names[run.source + i]: cut_given[:, :, run.to + i]
        for run in placement_of(card, layout).given.runs
        for i in range(run.count)
    }


def setting_of(task: Task, card: CorpusCard, grid: tuple[int, ...], whole: bool = False) -> Setting:
    """What holds for all samples of a task.

    Args:
        task: the terms.
        card: of its corpus.
        grid: cells that are scored, along each axis.
        whole: whether these are the cells of the stored data.
    """
    given = [one.name for one in card.offered if one.name in card.channel_names]
    return Setting(
        grid=grid,
        frames=task.rollout_frames,
        channels=card.asked_names,
        sides=sides(card),
        conserved=task.conserved or conserved(card),
        solenoidal=task.solenoidal or solenoidal(card),
        threshold=task.valid_threshold,
        pde=card.pde,
        given=tuple(given) if whole else (),
        staggered=card.staggered if whole else {},
        vrmse=task.vrmse,
        level=None if task.bands is None else task.bands.level,
    )


def check_laws(task: Task, corpus: ShardedCorpus) -> None:
    """Refuse laws in names that the corpus does not have, before hours of work.

    Raises:
        UserError: an expression with an unknown name, or a velocity of unknown channels.
    """
    setting = setting_of(task, corpus.card, (1, 1))
    known = {*setting.channels, *(origin_of(corpus, 0).parameters or {})}
    for quantity, texts in (setting.conserved or {}).items():
        for unknown in sorted({name for text in texts for name in names_of(text)} - known):
            raise UserError(
                f"task {task.name}: conserved {quantity}: {unknown_name('name', unknown, known)}"
            )
    for channel in setting.solenoidal or ():
        if channel not in setting.channels:
            fault = unknown_name("channel", channel, setting.channels)
            raise UserError(f"task {task.name}: solenoidal: {fault}")
