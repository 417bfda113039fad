"""The judge: a forecaster, a task and its shards in, a record and its samples out.

Axes: N samples, B samples of a batch, T predicted frames, C channels, H, W cells.
Source: MoE-POT (NeurIPS 2025), test protocol: everything on the model's grid,
scored on every k-th point, k = model resolution // resolution of the stored data.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from data_shards.batch import Batch
from data_shards.config import Config
from data_shards.corpus import ShardedCorpus
from data_shards.errors import UserError
from data_shards.layout import ModelLayout, check_fits
from evaluation.forecaster import Forecaster
from evaluation.metrics import METRICS, MetricName, l2re_per_frame, scored_points
from evaluation.provenance import git_commit, this_machine
from evaluation.record import Provenance, Record, aggregate_all
from evaluation.samples import Picture, SampleValues
from evaluation.task import Task
from evaluation.windows import check_long_enough, load_windows

PICTURED_FRAMES = 4


class RunSettings(Config):
    """How a run is done; none of it changes a score but `limit`."""

    batch_size: PositiveInt = 8
    limit: PositiveInt | None = None  # trajectories; all of the split by default
    device: str = "cpu"
    pictures: bool = True  # keep a few frames of the first sample


@dataclass(frozen=True)
class _BatchValues:
    keys: tuple[str, ...]
    values: dict[MetricName, Tensor]  # (B,) each
    per_frame: Tensor  # (B, T)
    non_finite: int


def run_task(
    forecaster: Forecaster,
    task: Task,
    corpus: ShardedCorpus,
    settings: RunSettings,
    advance: Callable[[int], object] = lambda samples: None,
) -> tuple[Record, SampleValues]:
    """Judge a forecaster on the test trajectories of a corpus.

    Args:
        forecaster: model or floor.
        task: the terms.
        corpus: the split that the task names, opened.
        settings: batch size, limit, device.
        advance: told the number of samples done after every batch.

    Returns:
        The record, and what it was averaged from.

    Raises:
        UserError: trajectories too short, or a corpus or context that the model cannot take.
    """
    layout = check_judgeable(forecaster, task, corpus)
    stride = max(1, layout.resolution // corpus.resolution)
    num_samples = number_of_samples(corpus, settings)
    began = time.perf_counter()
    done: list[_BatchValues] = []
    picture = None
    for first in range(0, num_samples, settings.batch_size):
        chosen = range(first, min(first + settings.batch_size, num_samples))
        batch = load_windows(
            corpus,
            chosen,
            layout,
            context_frames=task.context_frames,
            target_frames=task.rollout_frames,
        ).to(settings.device)
        pred = _forecast(forecaster, batch, task)
        done.append(_measure(pred, batch, task, stride))
        if first == 0 and settings.pictures:
            picture = _picture(pred, batch, stride)
        advance(len(batch))
    samples = _collect(done, picture)
    record = Record(
        model=forecaster.facts,
        task=task,
        task_hash=task.hash,
        scores=aggregate_all(samples.values),
        error_per_frame=tuple(samples.per_frame.mean(0).tolist()),
        num_samples=num_samples,
        num_available=corpus.num_trajectories,
        num_non_finite=sum(values.non_finite for values in done),
        seconds=time.perf_counter() - began,
        provenance=_provenance(corpus, settings, layout, stride),
    )
    return record, samples


def number_of_samples(corpus: ShardedCorpus, settings: RunSettings) -> int:
    """Trajectories that a run judges."""
    return min(settings.limit or corpus.num_trajectories, corpus.num_trajectories)


def _own_layout(corpus: ShardedCorpus) -> ModelLayout:
    """The grid and channels of the stored data: what a floor is judged on."""
    channels = len(corpus.card.channels) + corpus.card.mask_as_channel
    return ModelLayout(resolution=corpus.resolution, channels=channels)


def check_judgeable(forecaster: Forecaster, task: Task, corpus: ShardedCorpus) -> ModelLayout:
    """Refuse what cannot be judged, before any work is done.

    Returns:
        The grid and channels on which the forecast is made.

    Raises:
        UserError: trajectories too short, or a corpus or context that the model cannot take.
    """
    layout = forecaster.layout or _own_layout(corpus)
    check_fits(corpus.card, layout)
    check_long_enough(corpus, task.frames, f"task {task.name}")
    wanted = forecaster.context_frames
    if wanted is not None and wanted > task.context_frames:
        raise UserError(
            f"{forecaster.facts.name}: it takes {wanted} frames of context, task {task.name} "
            f"gives {task.context_frames}; choose a task that gives more"
        )
    return layout


@torch.inference_mode()
def _forecast(forecaster: Forecaster, batch: Batch, task: Task) -> Tensor:
    """A model that takes less context than the task gives gets the latest frames."""
    taken = forecaster.context_frames or task.context_frames
    shortened = Batch(**{**vars(batch), "fields": batch.fields[:, -taken:]})
    return forecaster.forecast(shortened, task.rollout_frames).to(batch.target.dtype)


def _measure(pred: Tensor, batch: Batch, task: Task, stride: int) -> _BatchValues:
    points = scored_points(batch.channel_mask, batch.valid_mask, stride)
    finite_B = torch.isfinite(pred * points).flatten(1).all(1)
    return _BatchValues(
        keys=batch.keys,
        values={name: METRICS[name](pred, batch.target, points).cpu() for name in task.metrics},
        per_frame=l2re_per_frame(pred, batch.target, points).cpu(),
        non_finite=int((~finite_B).sum()),
    )


def _collect(done: list[_BatchValues], picture: Picture | None) -> SampleValues:
    names = done[0].values
    return SampleValues(
        keys=tuple(key for values in done for key in values.keys),
        values={
            name: torch.cat([values.values[name] for values in done]).double().numpy()
            for name in names
        },
        per_frame=torch.cat([values.per_frame for values in done]).double().numpy(),
        picture=picture,
    )


def _picture(pred: Tensor, batch: Batch, stride: int) -> Picture:
    """First to last predicted frame, evenly spread, of the first sample."""
    steps = pred.shape[1]
    frames = np.unique(np.linspace(0, steps - 1, min(PICTURED_FRAMES, steps)).round().astype(int))
    channels = batch.channel_mask[0] > 0

    def cut(fields: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        kept = fields[0].cpu()[torch.from_numpy(frames)][:, channels.cpu()]
        return kept[..., ::stride, ::stride].float().numpy()

    return Picture(
        frames=frames + 1,
        truth=cut(batch.target),
        prediction=cut(pred),
        fluid=batch.valid_mask[0, 0, ::stride, ::stride].cpu().numpy(),
    )


def _provenance(
    corpus: ShardedCorpus, settings: RunSettings, layout: ModelLayout, stride: int
) -> Provenance:
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=git_commit(),
        machine=this_machine(torch.device(settings.device)),
        shard_fingerprint=corpus.fingerprint,
        resolution=layout.resolution,
        stride=stride,
        batch_size=settings.batch_size,
    )
