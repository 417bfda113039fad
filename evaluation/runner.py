"""The judge: a forecaster, a task and its shards in, a record and its samples out.

Axes: N samples, B samples of a batch, T predicted frames, C channels, H, W cells.
A sample is one window of one trajectory. With several ranks they take turns at the batches
that one rank would make, so their number shows in no value.
Source: MoE-POT (NeurIPS 2025), test protocol: everything on the model's grid,
scored on every k-th point, k = model resolution // resolution of the stored data.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor

from data_shards.batch import Batch
from data_shards.config import Config
from data_shards.corpus import ShardedCorpus
from data_shards.errors import UserError
from data_shards.layout import ModelLayout, check_fits
from evaluation.forecaster import Forecaster
from evaluation.lattice import check_laws, cut_forecast, scored_stride, setting_of
from evaluation.metrics import Forecast, MetricName, find_metric, measure
from evaluation.predictions import Precision, PredictionWriter
from evaluation.provenance import git_commit, this_machine
from evaluation.ranks import Ranks
from evaluation.record import Provenance, Record, aggregate_all
from evaluation.samples import Picture, SampleValues
from evaluation.task import Task
from evaluation.windows import check_long_enough, load_windows

PICTURED_FRAMES = 4

Window = tuple[int, int]  # trajectory, first frame of the context


class RunSettings(Config):
    """How a run is done; none of it changes a score but `limit`."""

    batch_size: PositiveInt = 8
    limit: PositiveInt | None = None  # trajectories; all of the split by default
    device: str = "cpu"
    pictures: bool = True  # keep a few frames of the first sample
    predictions: Precision | None = None  # keep what was predicted, and how precisely


@dataclass(frozen=True)
class _BatchValues:
    """What one rank measured on one batch; plain enough to travel between ranks."""

    number: int
    keys: tuple[str, ...]
    values: dict[MetricName, NDArray[np.float64]]  # (B,) each
    per_frame: NDArray[np.float64]  # (B, T)
    non_finite: int
    picture: Picture | None
    predictions: NDArray[np.float32] | None  # (B, T, C, H, W)


def run_task(
    forecaster: Forecaster,
    task: Task,
    corpus: ShardedCorpus,
    settings: RunSettings,
    advance: Callable[[int], object] = lambda samples: None,
    *,
    ranks: Ranks | None = None,
    predictions: Path | None = None,
) -> tuple[Record, SampleValues]:
    """Judge a forecaster on the test trajectories of a corpus.

    Args:
        forecaster: model or floor.
        task: the terms.
        corpus: the split that the task names, opened.
        settings: batch size, limit, device.
        advance: told the number of samples that all ranks have done since it was last told.
        ranks: processes that share the work; every one of them calls this.
        predictions: file to write them to, if the settings keep them.

    Returns:
        The record, and what it was averaged from; the same on every rank.

    Raises:
        UserError: trajectories too short, or a corpus or context that the model cannot take.
    """
    ranks = ranks or Ranks()
    layout = check_judgeable(forecaster, task, corpus)
    began = time.perf_counter()
    windows = windows_of(task, corpus, settings)
    size = settings.batch_size
    batches = [windows[first : first + size] for first in range(0, len(windows), size)]
    done: list[_BatchValues] = []
    keep = settings.predictions is not None and predictions is not None and ranks.is_first
    with _writer(settings, predictions) if keep else nullcontext() as writer:
        for first in range(0, len(batches), ranks.world):
            number = first + ranks.rank
            own = None
            if number < len(batches):
                own = _judge(forecaster, task, corpus, settings, layout, number, batches[number])
            for values in ranks.gather(own):
                if writer is not None and values.predictions is not None:
                    for key, prediction in zip(values.keys, values.predictions, strict=True):
                        writer.add(key, prediction)
                done.append(_BatchValues(**{**vars(values), "predictions": None}))
            advance(sum(map(len, batches[first : first + ranks.world])))
    samples = ranks.share(_collect(done) if ranks.is_first else None)
    record = Record(
        model=forecaster.facts,
        task=task,
        task_hash=task.hash,
        scores=aggregate_all(samples.values, task),
        error_per_frame=tuple(samples.per_frame.mean(0).tolist()),
        num_samples=len(windows),
        num_available=len(windows_of(task, corpus, RunSettings())),
        num_non_finite=ranks.share(sum(values.non_finite for values in done)),
        seconds=ranks.share(time.perf_counter() - began),
        provenance=_provenance(corpus, settings, layout),
    )
    return record, samples


def windows_of(task: Task, corpus: ShardedCorpus, settings: RunSettings) -> list[Window]:
    """What a run judges: windows of one trajectory side by side, trajectories in file order.

    Raises:
        UserError: no trajectory has a key that the task asks for.
    """
    matching = [i for i, key in enumerate(corpus.keys) if fnmatchcase(key, task.keys)]
    if not matching:
        raise UserError(
            f"task {task.name}: no trajectory of {corpus.name} has a key like {task.keys!r}, "
            f"they are called {corpus.keys[0]} and so on; mend keys"
        )
    return [(i, start) for i in matching[: settings.limit] for start in sorted(task.windows)]


def own_layout(corpus: ShardedCorpus) -> ModelLayout:
    """The grid and channels of the stored data: what a floor is judged on."""
    channels = len(corpus.card.channels) + corpus.card.mask_as_channel
    return ModelLayout(resolution=corpus.resolution, channels=channels)


def check_judgeable(forecaster: Forecaster, task: Task, corpus: ShardedCorpus) -> ModelLayout:
    """Refuse what cannot be judged, before any work is done.

    Returns:
        The grid and channels on which the forecast is made.

    Raises:
        UserError: another kind of task, trajectories too short, a headline that does not apply,
            or a corpus or context that the model cannot take.
    """
    if task.kind != "forecast":
        raise UserError(
            f"task {task.name}: of kind {task.kind}, which this verb does not judge; choose one "
            "of kind forecast"
        )
    layout = forecaster.layout or own_layout(corpus)
    check_fits(corpus.card, layout)
    check_long_enough(corpus, task.length, f"task {task.name}")
    wanted = forecaster.context_frames
    if wanted is not None and wanted > task.context_frames:
        raise UserError(
            f"{forecaster.facts.name}: it takes {wanted} frames of context, task {task.name} "
            f"gives {task.context_frames}; choose a task that gives more"
        )
    check_laws(task, corpus)
    _check_headline(task, corpus, layout)
    return layout


def _check_headline(task: Task, corpus: ShardedCorpus, layout: ModelLayout) -> None:
    points = len(range(0, layout.resolution, scored_stride(layout, corpus)))
    if not find_metric(task.headline).applies(setting_of(task, corpus.card, (points, points))):
        raise UserError(
            f"task {task.name}: its headline {task.headline} does not apply to corpus "
            f"{corpus.name} on {points} x {points} points; choose another headline"
        )


def _judge(
    forecaster: Forecaster,
    task: Task,
    corpus: ShardedCorpus,
    settings: RunSettings,
    layout: ModelLayout,
    number: int,
    windows: Sequence[Window],
) -> _BatchValues:
    """One batch: read, forecast, measure."""
    chosen, starts = zip(*windows, strict=True)
    batch = load_windows(
        corpus,
        chosen,
        layout,
        context_frames=task.context_frames,
        target_frames=task.rollout_frames,
        start=starts,
    ).to(settings.device)
    stride = scored_stride(layout, corpus)
    pred = _forecast(forecaster, batch, task)
    forecast = cut_forecast(pred, batch, corpus, chosen, task, stride)
    finite_B = torch.isfinite(forecast.pred_BTCHW * forecast.points_B1CHW).flatten(1).all(1)
    values = measure(task.measured, forecast)
    return _BatchValues(
        number=number,
        keys=batch.keys,
        values={name: _array(value) for name, value in values.items()},
        per_frame=_array(forecast.per_frame_BT),
        non_finite=int((~finite_B).sum()),
        picture=_picture(forecast) if number == 0 and settings.pictures else None,
        predictions=forecast.pred_BTCHW.cpu().numpy() if settings.predictions else None,
    )


@torch.inference_mode()
def _forecast(forecaster: Forecaster, batch: Batch, task: Task) -> Tensor:
    """A model that takes less context than the task gives gets the latest frames."""
    taken = forecaster.context_frames or task.context_frames
    shortened = Batch(**{**vars(batch), "fields": batch.fields[:, -taken:]})
    return forecaster.forecast(shortened, task.rollout_frames).to(batch.target.dtype)


def _array(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.cpu().double().numpy()
    return array


def _writer(settings: RunSettings, path: Path | None) -> PredictionWriter:
    assert path is not None
    assert settings.predictions is not None
    return PredictionWriter(path, settings.predictions)


def _collect(done: list[_BatchValues]) -> SampleValues:
    return SampleValues(
        keys=tuple(key for values in done for key in values.keys),
        values={
            name: np.concatenate([values.values[name] for values in done])
            for name in done[0].values
        },
        per_frame=np.concatenate([values.per_frame for values in done]),
        picture=done[0].picture,
    )


def _picture(forecast: Forecast) -> Picture:
    """First to last predicted frame, evenly spread, of the first sample."""
    steps = forecast.setting.frames
    frames = np.unique(np.linspace(0, steps - 1, min(PICTURED_FRAMES, steps)).round().astype(int))
    chosen = torch.from_numpy(frames)
    return Picture(
        frames=frames + 1,
        truth=forecast.true_BTCHW[0].cpu()[chosen].float().numpy(),
        prediction=forecast.pred_BTCHW[0].cpu()[chosen].float().numpy(),
        fluid=forecast.points_B1CHW[0, 0, 0].cpu().numpy(),
    )


def _provenance(corpus: ShardedCorpus, settings: RunSettings, layout: ModelLayout) -> Provenance:
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=git_commit(),
        machine=this_machine(torch.device(settings.device)),
        shard_fingerprint=corpus.fingerprint,
        resolution=layout.resolution,
        stride=scored_stride(layout, corpus),
        batch_size=settings.batch_size,
    )
