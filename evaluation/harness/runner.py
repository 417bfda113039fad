"""The judge: a forecaster, a task and its shards in, a record and its samples out.

Axes: N samples, B samples of a batch, T predicted frames, C channels, H, W cells.
A sample is one window of one trajectory. With several ranks they take turns at the batches
that one rank would make, so their number shows in no value.
Source: MoE-POT (NeurIPS 2025), test protocol: everything on the model's grid,
scored on every k-th point, k = model resolution // resolution of the stored data.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor

from data_shards.card import CorpusCard, Shift
from data_shards.config import Config
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import ModelLayout
from data_shards.stream.origin import Origin
from data_shards.stream.windows import load_windows
from evaluation.harness.calibration import calibrated, check_calibration, half_width, scores_of
from evaluation.harness.compatible import Window, as_asked, check_compatible, windows_of
from evaluation.harness.forecaster import Forecaster
from evaluation.harness.protocol import authors_order
from evaluation.harness.ranks import Ranks
from evaluation.harness.scored_grid import cut_forecast, scored_stride
from evaluation.metrics.evolution import has_evolution, residual_fields
from evaluation.metrics.forecast import Forecast
from evaluation.metrics.names import MetricName
from evaluation.metrics.registry import measure
from evaluation.records.predictions import Precision, PredictionWriter
from evaluation.records.provenance import git_commit, this_machine
from evaluation.records.record import (
    Calibration,
    Provenance,
    Record,
    aggregate_all,
    along_parameter,
)
from evaluation.records.samples import Picture, SampleValues
from evaluation.tasks.task import Task
from foundation.nn.device import float32_products

PICTURED_FRAMES = 4


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

    keys: tuple[str, ...]
    values: dict[MetricName, NDArray[np.float64]]  # (B,) each
    per_frame: NDArray[np.float64]  # (B, T)
    non_finite: int
    picture: Picture | None
    predictions: NDArray[np.float32] | None  # (B, T, C, H, W)
    parameters: Mapping[str, NDArray[np.float64]]  # the ladder's (B,)


@float32_products()  # on every device alike, whatever the process rounds
def run_task(
    forecaster: Forecaster,
    task: Task,
    corpus: ShardedCorpus,
    settings: RunSettings,
    advance: Callable[[int], object] = lambda samples: None,
    *,
    ranks: Ranks | None = None,
    predictions: Path | None = None,
    known: ShardedCorpus | None = None,
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
        known: the split that bands are calibrated on, if the task asks for bands.

    Returns:
        The record, and what it was averaged from; the same on every rank.

    Raises:
        UserError: trajectories too short, or a corpus or context that the model cannot take.
    """
    ranks = ranks or Ranks()
    layout = check_compatible(forecaster, task, corpus)
    check_calibration(task, corpus, known)
    run = _Run(forecaster, task, as_asked(task, corpus), settings, layout)
    if task.bands is not None and known is not None:
        check_compatible(forecaster, task, known)
        scores = calibration_scores(forecaster, task, known, layout, settings, advance, ranks=ranks)
        found = calibrated(task, known, scores) if ranks.is_first else None
        run = replace(run, calibration=ranks.share(found))
    began = time.perf_counter()
    windows = windows_of(task, corpus, settings.limit)
    done: list[_BatchValues] = []
    with _keeping(settings, predictions if ranks.is_first else None) as keep:
        for batches in _rounds(windows, settings.batch_size, ranks.world):
            own = run.judge(*batches[ranks.rank]) if ranks.rank < len(batches) else None
            for values in ranks.gather(own):
                keep(values)
                done.append(replace(values, predictions=None))
            advance(sum(len(windows) for _, windows in batches))
    samples = ranks.share(_collect(done) if ranks.is_first else None)
    record = Record(
        model=forecaster.facts,
        task=task,
        task_hash=task.hash,
        scores=aggregate_all(samples.values, task),
        error_per_frame=tuple(samples.per_frame.mean(0).tolist()),
        num_samples=len(windows),
        num_available=len(windows_of(task, corpus)),
        num_non_finite=ranks.share(sum(values.non_finite for values in done)),
        seconds=ranks.share(time.perf_counter() - began),
        provenance=run.provenance(),
        along=along_parameter(samples.parameters, samples.values[task.headline], task.aggregation),
        calibration=run.calibration,
    )
    return record, samples


def calibration_scores(
    forecaster: Forecaster,
    task: Task,
    known: ShardedCorpus,
    layout: ModelLayout,
    settings: RunSettings,
    advance: Callable[[int], object] = lambda samples: None,
    *,
    ranks: Ranks | None = None,
) -> list[Tensor]:
    """Scores of forecasts of all known trajectories, batch by batch (B, P, T, C) each.

    Args:
        forecaster: model or floor.
        task: of bands.
        known: the split to calibrate on, opened.
        layout: of the forecasts.
        settings: batch size and device.
        advance: told the number of samples that all ranks have done since it was last told.
        ranks: processes that share the work; the first one has the scores.
    """
    ranks = ranks or Ranks()
    run = _Run(forecaster, task, as_asked(task, known), settings, layout)
    windows = windows_of(task.model_copy(update={"keys": "*"}), known)
    scores: list[Tensor] = []
    for batches in _rounds(windows, settings.batch_size, ranks.world):
        own = run.scores(batches[ranks.rank][1]) if ranks.rank < len(batches) else None
        scores += ranks.gather(own)
        advance(sum(len(windows) for _, windows in batches))
    return scores


@dataclass(frozen=True)
class _Run:
    """What is judged, and how."""

    forecaster: Forecaster
    task: Task
    corpus: ShardedCorpus
    settings: RunSettings
    layout: ModelLayout
    calibration: Calibration | None = None

    def forecast(self, windows: Sequence[Window]) -> tuple[Forecast, Batch]:
        """One batch: read and forecast."""
        chosen, starts = zip(*windows, strict=True)
        batch = load_windows(
            self.corpus,
            chosen,
            self.layout,
            context_frames=self.task.context_frames,
            target_frames=self.task.rollout_frames,
            start=starts,
            learnt=self.forecaster.learnt,
        ).to(self.settings.device)
        stride = scored_stride(self.layout, self.corpus)
        made, members = _forecast(self.forecaster, batch, self.task, self.corpus.card, self.layout)
        pred = made.to(batch.asked.dtype)
        forecast = cut_forecast(
            pred, batch, self.corpus, self.task, self.layout, stride, made, members
        )
        if "latent" in self.task.measured:
            forecast = _with_latents(forecast, self.forecaster, _seen(batch, self.forecaster))
        return forecast, batch

    def scores(self, windows: Sequence[Window]) -> Tensor:
        """What bands are calibrated from: of one batch (B, P, T, C)."""
        return scores_of(self.forecast(windows)[0], [chosen for chosen, _ in windows]).cpu()

    def judge(self, number: int, windows: Sequence[Window]) -> _BatchValues:
        """One batch: read, forecast, measure."""
        forecast, batch = self.forecast(windows)
        if self.calibration is not None:
            forecast = replace(forecast, half_BTCHW=half_width(forecast, self.calibration))
        finite_B = torch.isfinite(forecast.pred_BTCHW * forecast.points_B1CHW).flatten(1).all(1)
        values = measure(self.task.measured, forecast)
        settings = self.settings
        kept = [part for part in (forecast.pred_BTCHW, forecast.beyond_BTCHW) if part is not None]
        return _BatchValues(
            keys=batch.keys,
            values={name: _array(value) for name, value in values.items()},
            per_frame=_array(forecast.per_frame_BT),
            non_finite=int((~finite_B).sum()),
            picture=_picture(forecast, self.forecaster.boxes)
            if number == 0 and settings.pictures
            else None,
            predictions=torch.cat(kept, dim=1).cpu().numpy() if settings.predictions else None,
            parameters=_on_ladder(self.corpus.card.shift, batch.origins),
        )

    def provenance(self) -> Provenance:
        return Provenance(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            git_commit=git_commit(),
            machine=this_machine(torch.device(self.settings.device)),
            shard_fingerprint=self.corpus.fingerprint,
            resolution=self.layout.resolution,
            stride=scored_stride(self.layout, self.corpus),
            batch_size=self.settings.batch_size,
        )


def _rounds(
    windows: Sequence[Window], size: int, world: int
) -> Iterator[list[tuple[int, Sequence[Window]]]]:
    """Batches with their numbers, one for every rank at a time; the last round may be short."""
    firsts = range(0, len(windows), size)
    batches = [(number, windows[first : first + size]) for number, first in enumerate(firsts)]
    yield from (batches[first : first + world] for first in range(0, len(batches), world))


@contextmanager
def _keeping(settings: RunSettings, path: Path | None) -> Iterator[Callable[[_BatchValues], None]]:
    """Something that writes the predictions of a batch, if they are to be kept."""
    if settings.predictions is None or path is None:
        yield lambda values: None
        return
    with PredictionWriter(path, settings.predictions) as writer:

        def keep(values: _BatchValues) -> None:
            assert values.predictions is not None
            for key, prediction in zip(values.keys, values.predictions, strict=True):
                writer.add(key, prediction)

        yield keep


@torch.inference_mode()
def _forecast(
    forecaster: Forecaster, batch: Batch, task: Task, card: CorpusCard, layout: ModelLayout
) -> tuple[Tensor, Tensor | None]:
    """The forecast (B, T, C, *S), and the members whose mean it is (M, B, T, C, *S), if any."""
    shortened = _seen(batch, forecaster)
    steps = task.rollout_frames + task.free_frames
    order = None if task.protocol == "own" else authors_order(card, layout)
    if order is not None:
        shortened = order.theirs(shortened)
    if forecaster.members is None:
        made, members = forecaster.forecast(shortened, steps), None
    else:
        members = forecaster.members(shortened, steps)
        made = members.mean(0)
    if order is None:
        return made, members
    theirs = None if members is None else torch.stack([order.ours(each) for each in members])
    return order.ours(made), theirs


def _seen(batch: Batch, forecaster: Forecaster) -> Batch:
    """A model that takes less context than the task gives gets the latest frames."""
    taken = forecaster.context_frames or batch.given.shape[1]
    return replace(batch, given=batch.given[:, -taken:])


@torch.inference_mode()
def _with_latents(forecast: Forecast, forecaster: Forecaster, seen: Batch) -> Forecast:
    """With the error of the latents, of a model that forecasts some."""
    latent_B = forecaster.latent_error(seen)
    return forecast if latent_B is None else forecast.with_latents(latent_B)


def _array(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.cpu().double().numpy()
    return array


def _collect(done: list[_BatchValues]) -> SampleValues:
    return SampleValues(
        keys=tuple(key for values in done for key in values.keys),
        values={
            name: np.concatenate([values.values[name] for values in done])
            for name in done[0].values
        },
        per_frame=np.concatenate([values.per_frame for values in done]),
        picture=done[0].picture,
        parameters={
            name: np.concatenate([values.parameters[name] for values in done])
            for name in done[0].parameters
            if all(name in values.parameters for values in done)
        },
    )


def _on_ladder(shift: Shift | None, origins: Sequence[Origin]) -> dict[str, NDArray[np.float64]]:
    """The parameter of a ladder in every sample (B,); nothing where it is not said."""
    known = [origin.parameters or {} for origin in origins]
    if shift is None or any(shift.parameter not in own for own in known):
        return {}
    return {shift.parameter: np.array([own[shift.parameter] for own in known], float)}


def _picture(forecast: Forecast, boxes: tuple[int, ...]) -> Picture:
    """First to last predicted frame, evenly spread, of the first sample; of a box a slice."""
    steps = forecast.setting.frames
    frames = np.unique(np.linspace(0, steps - 1, min(PICTURED_FRAMES, steps)).round().astype(int))
    chosen = torch.from_numpy(frames)
    return Picture(
        frames=frames + 1,
        truth=_plane(forecast.true_BTCHW[0].cpu()[chosen], forecast.setting.grid),
        prediction=_plane(forecast.pred_BTCHW[0].cpu()[chosen], forecast.setting.grid),
        fluid=_plane(forecast.points_B1CHW[0, 0, 0].cpu(), forecast.setting.grid),
        residual=_residual(forecast) if boxes else None,
        boxes=np.array(boxes) if boxes else None,
    )


def _plane(fields: Tensor, grid: tuple[int, ...]) -> NDArray[np.float32]:
    """Fields (..., *S) of a plane, or the middle slice of those of a box."""
    shown = fields if len(grid) < 3 else fields[..., grid[0] // 2, :, :]
    plane: NDArray[np.float32] = shown.float().numpy()
    return plane


def _residual(forecast: Forecast) -> NDArray[np.float32] | None:
    """Of the first sample, where an equation of evolution is known."""
    if not has_evolution(forecast.setting):
        return None
    return residual_fields(forecast)[0].cpu().float().numpy()
