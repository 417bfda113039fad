"""Records aggregated again without the model: a results file in, new records out.

Further metrics come from the error of every frame where that suffices, else from saved
predictions and the shards they were made for. Another aggregation or choice of
trajectories is another test, so it goes into the task, whose hash then differs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt

from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.windows import load_windows
from evaluation.harness.compatible import as_asked, own_layout
from evaluation.harness.scored_grid import cut_forecast
from evaluation.metrics.names import MetricName, find_metric
from evaluation.metrics.registry import find_measurement, measure
from evaluation.records.predictions import PredictionReader
from evaluation.records.record import Record, aggregate_all, along_parameter, predictions_path
from evaluation.records.results import read_results
from evaluation.records.samples import SampleValues, read_samples
from evaluation.tasks.task import Aggregation, Task

_BATCH = 8

Values = dict[MetricName, NDArray[np.float64]]


class Rescoring(Config):
    """What is wanted of records that exist."""

    metrics: tuple[MetricName, ...] = ()  # beside those that were measured
    aggregation: Aggregation | None = None  # None: as it was
    keys: str | None = None  # only trajectories whose key matches; None: as it was
    resamples: PositiveInt | None = None  # None: as it was


def rescore(
    path: Path,
    wanted: Rescoring,
    shards: str | Path | None = None,
    watch: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> list[tuple[Record, SampleValues]]:
    """Aggregate all records of a results file again.

    Args:
        path: the results file; its samples, and predictions if any, lie beside it.
        wanted: what is to change.
        shards: name of the shards (`find_shards`), for metrics that need the truth.
        watch: passes the numbers of the records on, to show progress.

    Returns:
        New records with their samples, in the order of the file.

    Raises:
        UserError: no results file, values that are missing, or a metric that nothing at
            hand gives.
    """
    results = read_results(path)
    if results is None:
        raise UserError(f"{path}: not a results file; write one with foundation evaluate")
    for name in wanted.metrics:
        find_metric(name)
    judged = []
    for position in watch(range(len(results.records))):
        record = results.records[position]
        samples = read_samples(path.parent / results.samples_file, position, record)
        further = _further(path, record, samples, wanted.metrics, shards)
        samples = replace(samples, values=samples.values | further)
        judged.append(_aggregated(record, samples, wanted))
    return judged


def _aggregated(
    record: Record, samples: SampleValues, wanted: Rescoring
) -> tuple[Record, SampleValues]:
    task = record.task
    if wanted.aggregation is not None:
        task = task.model_copy(update={"aggregation": wanted.aggregation})
    if wanted.keys is not None:
        task = task.model_copy(update={"keys": wanted.keys})
        samples = _chosen(samples, task)
    drawn = record.bootstrap
    if wanted.resamples is not None:
        drawn = drawn.model_copy(update={"resamples": wanted.resamples})
    diverged = int(np.isinf(samples.per_frame).any(1).sum())
    changes = {
        "task": task,
        "task_hash": task.hash,
        "scores": aggregate_all(samples.values, task, drawn),
        "error_per_frame": tuple(samples.per_frame.mean(0).tolist()),
        "num_samples": len(samples.keys),
        "num_non_finite": record.num_non_finite if wanted.keys is None else diverged,
        "bootstrap": drawn,
        "along": along_parameter(
            samples.parameters, samples.values[task.headline], task.aggregation
        ),
    }
    return record.model_copy(update=changes), samples


def _chosen(samples: SampleValues, task: Task) -> SampleValues:
    """The samples of the trajectories that a task asks for."""
    kept = [i for i, key in enumerate(samples.keys) if fnmatchcase(_trajectory(key), task.keys)]
    if not kept:
        raise UserError(
            f"task {task.name}: no sample has a key like {task.keys!r}, they are called "
            f"{_trajectory(samples.keys[0])} and so on; fix --keys"
        )
    return SampleValues(
        keys=tuple(samples.keys[i] for i in kept),
        values={name: values[kept] for name, values in samples.values.items()},
        per_frame=samples.per_frame[kept],
        picture=samples.picture if kept[0] == 0 else None,
        parameters={name: values[kept] for name, values in samples.parameters.items()},
    )


def _trajectory(key: str) -> str:
    """The trajectory of a sample's key KEY@START."""
    return key.rpartition("@")[0]


def _start(key: str) -> int:
    return int(key.rpartition("@")[2])


def _further(
    path: Path,
    record: Record,
    samples: SampleValues,
    names: Sequence[MetricName],
    shards: str | Path | None,
) -> Values:
    """Metrics that were not measured, from the cheapest thing at hand that gives them."""
    missing = [name for name in names if name not in samples.values]
    found = _from_curves(record.task, samples, missing)
    rest = tuple(name for name in missing if name not in found)
    if not rest:
        return found
    if shards is None:
        raise UserError(
            f"{path}: {', '.join(rest)} of {record.model.name} on {record.task.name} needs the "
            "truth; give --shards DIR, with predictions that evaluate --save-predictions wrote"
        )
    return found | _from_predictions(path, record, samples, rest, shards)


def _from_curves(task: Task, samples: SampleValues, names: Sequence[MetricName]) -> Values:
    curve = torch.from_numpy(samples.per_frame).float()  # as it was when it was measured
    found = {}
    for name in names:
        from_curve = find_measurement(name).from_curve
        if from_curve is not None:
            _check_within(name, task)
            found[name] = from_curve(curve, task.valid_threshold).double().numpy()
    return found


def _check_within(name: MetricName, task: Task) -> None:
    """A frame beyond the rollout is a slip, not a metric that does not apply."""
    frame = name.removeprefix("l2re_frame_")
    if frame.isdecimal() and int(frame) > task.rollout_frames:
        raise UserError(
            f"{name}: task {task.name} predicts {task.rollout_frames} frames; ask for one of them"
        )


def _from_predictions(
    path: Path,
    record: Record,
    samples: SampleValues,
    names: tuple[MetricName, ...],
    shards: str | Path,
) -> Values:
    split = (record.task.corpus, record.task.split)
    corpus = as_asked(record.task, ShardedCorpus.open(find_shards(shards, [split]), *split))
    origin = record.provenance
    if corpus.fingerprint != origin.shard_fingerprint:
        raise UserError(
            f"{shards}: {corpus.name} {corpus.split} has fingerprint {corpus.fingerprint[:10]}, "
            f"the record was made with {origin.shard_fingerprint[:10]}; give those shards"
        )
    numbers = {key: number for number, key in enumerate(corpus.keys)}
    measured: list[dict[MetricName, NDArray[np.float64]]] = []
    with PredictionReader(predictions_path(path, record.model, record.task)) as predictions:
        for first in range(0, len(samples.keys), _BATCH):
            keys = samples.keys[first : first + _BATCH]
            chosen = [numbers[_trajectory(key)] for key in keys]
            measured.append(_measure(predictions, record, corpus, keys, chosen, names))
    return {name: np.concatenate([values[name] for values in measured]) for name in measured[0]}


def _measure(
    predictions: PredictionReader,
    record: Record,
    corpus: ShardedCorpus,
    keys: Sequence[str],
    chosen: Sequence[int],
    names: tuple[MetricName, ...],
) -> Values:
    task, layout = record.task, own_layout(corpus, record.provenance.resolution)
    batch = load_windows(
        corpus,
        chosen,
        layout,
        context_frames=task.context_frames,
        target_frames=task.rollout_frames,
        start=[_start(key) for key in keys],
    )
    pred = torch.from_numpy(np.stack([predictions.read(key) for key in keys]))
    forecast = cut_forecast(pred, batch, corpus, task, layout, record.provenance.stride)
    return {name: value.double().numpy() for name, value in measure(names, forecast).items()}
