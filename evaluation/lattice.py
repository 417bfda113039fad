"""From a forecast on the model's grid to what is scored: batch in, `Forecast` out.

Axes: B samples, T predicted frames, C channels, H, W cells of the model's grid or,
after the cut, of the scored lattice: every `stride`-th row and column from the
corner, `stride` = model resolution // resolution of the stored data, and the
corpus's own channels. Source: MoE-POT (NeurIPS 2025), test protocol.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from data_shards.batch import Batch
from data_shards.card import CorpusCard
from data_shards.corpus import ShardedCorpus
from data_shards.layout import ModelLayout
from evaluation.metrics import Forecast, Origin, Setting
from evaluation.metrics.equations import conserved, sides, solenoidal
from evaluation.task import Task


def scored_stride(layout: ModelLayout, corpus: ShardedCorpus) -> int:
    """Every which point of the model's grid is scored."""
    return max(1, layout.resolution // corpus.resolution)


def cut(fields: Tensor, card: CorpusCard, stride: int) -> Tensor:
    """Scored channels and points of fields (..., C, H, W)."""
    return fields[..., : len(card.channels), ::stride, ::stride]


def cut_forecast(
    pred: Tensor,
    batch: Batch,
    corpus: ShardedCorpus,
    chosen: Sequence[int],
    task: Task,
    stride: int,
) -> Forecast:
    """A forecast as metrics take it.

    Args:
        pred: on the model's grid (B, T, C, H, W), or already on the scored lattice.
        batch: truth and masks on the model's grid.
        corpus: where the trajectories are from.
        chosen: their numbers (B).
        task: the terms.
        stride: from `scored_stride`.
    """
    true = cut(batch.target, corpus.card, stride)
    if pred.shape != true.shape:
        pred = cut(pred, corpus.card, stride)
    valid = batch.valid_mask[..., ::stride, ::stride]
    points = (batch.channel_mask[:, : true.shape[2], None, None] * valid)[:, None]
    rows, columns = true.shape[-2:]
    setting = setting_of(task, corpus.card, (rows, columns))
    origins = tuple(origin_of(corpus.metadata(number)) for number in chosen)
    return Forecast(pred, true, points, setting, origins)


def setting_of(task: Task, card: CorpusCard, lattice: tuple[int, int]) -> Setting:
    """What holds for all samples of a task, on a lattice of rows and columns."""
    return Setting(
        lattice=lattice,
        frames=task.rollout_frames,
        channels=card.channel_names,
        sides=sides(card),
        conserved=task.conserved or conserved(card),
        solenoidal=task.solenoidal or solenoidal(card),
        threshold=task.valid_threshold,
    )


def origin_of(metadata: dict[str, Any]) -> Origin:
    """What a shard says of a trajectory; only numbers can be parameters of a metric."""
    parameters = {
        name: float(value)
        for name, value in metadata["parameters"].items()
        if isinstance(value, int | float)
    }
    return Origin(metadata["dt_s"], tuple(metadata["extent"]), parameters)
