"""From a forecast on the model's grid to what is scored: batch in, `Forecast` out.

Axes: B samples, T predicted frames, C channels, H, W cells of the model's grid or,
after the cut, of the scored lattice: every `stride`-th row and column from the
corner, `stride` = model resolution // resolution of the stored data, and the
corpus's own channels. Source: MoE-POT (NeurIPS 2025), test protocol.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from data_shards.card import CorpusCard
from data_shards.errors import UserError, unknown_name
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout
from evaluation.metrics import Forecast, Origin, Setting
from evaluation.metrics.equations import conserved, sides, solenoidal
from evaluation.metrics.expression import names_of
from evaluation.tasks.task import Task


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
        pred: on the model's grid (B, T, C, H, W), or already on the scored lattice; frames
            beyond the truth may follow.
        batch: truth and masks on the model's grid.
        corpus: where the trajectories are from.
        chosen: their numbers (B).
        task: the terms.
        stride: from `scored_stride`.
    """
    true = cut(batch.asked, corpus.card, stride)
    if pred.shape[2:] != true.shape[2:]:
        pred = cut(pred, corpus.card, stride)
    valid = batch.valid_mask[..., ::stride, ::stride]
    points = (batch.asked_mask[:, : true.shape[2], None, None] * valid)[:, None]
    rows, columns = true.shape[-2:]
    setting = setting_of(task, corpus.card, (rows, columns))
    origins = tuple(origin_of(corpus, number) for number in chosen)
    known = true.shape[1]
    beyond = pred[:, known:] if pred.shape[1] > known else None
    return Forecast(pred[:, :known], true, points, setting, origins, beyond)


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


def origin_of(corpus: ShardedCorpus, number: int) -> Origin:
    """What a shard says of a trajectory; only numbers can be parameters of a metric.

    Parameters that have one value on the card hold for trajectories that do not say them.
    """
    metadata = corpus.metadata(number)
    own = {
        name: float(value)
        for name, value in metadata["parameters"].items()
        if isinstance(value, int | float)
    }
    return Origin(metadata["dt_s"], tuple(metadata["extent"]), _fixed(corpus.card) | own)


def _fixed(card: CorpusCard) -> dict[str, float]:
    """Parameters without a range; written with few digits, so ends may differ in the last."""
    return {
        name: (limits.low + limits.high) / 2
        for name, limits in card.parameters.items()
        if math.isclose(limits.low, limits.high, rel_tol=1e-6)
    }


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
