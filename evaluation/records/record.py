"""Records: what a score is and where it came from, one per checkpoint and task.

A results file holds the records of one run; beside it lie the values of every
sample (`samples.py`), from which each record can be aggregated again.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, NonNegativeInt, PositiveInt, model_validator

from data_shards.config import Config, later
from data_shards.errors import UserError
from data_shards.hashing import digest
from evaluation.metrics.names import MetricName
from evaluation.records.bootstrap import RESAMPLES, SEED, standard_error
from evaluation.tasks.task import Aggregation, Task

DISTINCT_VALUES = 32  # of a parameter, up to which samples are grouped by each of them
SHARES = 8  # of the samples, by a parameter with more values


class _Stored(Config):
    """JSON has no infinity; a diverged score is written as the string "Infinity"."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Score(_Stored):
    """A metric's mean (or median, if the task says so) over samples."""

    value: float
    standard_error: float | None  # None for a single sample


class ModelFacts(_Stored):
    """What was judged."""

    name: str
    model_type: str
    source: str  # as it was given on the command line
    floor: bool = False
    parameters_total: NonNegativeInt = 0
    parameters_activated: NonNegativeInt = 0
    flops_per_frame: NonNegativeInt | None = None  # of a forecast of one sample; None: not counted
    fingerprint: str  # sha256 of configuration and weights
    config_hash: str  # sha256 of the configuration alone; of a foreign model of its source
    training_steps: NonNegativeInt | None = later(None)  # that its weights have seen, if it tells


class Machine(_Stored):
    """Where it was judged."""

    cpu: str
    cores: PositiveInt
    device: str
    torch: str


class Provenance(_Stored):
    """All that is needed to judge again."""

    date: str  # ISO 8601, UTC, at the end of the task
    git_commit: str  # "unknown" outside a checkout; "-dirty" with uncommitted changes
    machine: Machine
    shard_fingerprint: str
    resolution: PositiveInt  # cells per side the forecast was made on
    stride: PositiveInt  # every which cell was scored
    batch_size: PositiveInt


class Bootstrap(_Stored):
    """How the standard errors were drawn."""

    seed: NonNegativeInt = SEED
    resamples: PositiveInt = RESAMPLES


class Along(_Stored):
    """The headline along the parameter of a ladder, for a rung that stands for a range of it."""

    parameter: str
    values: tuple[float, ...]  # rising; means of it over the groups of samples
    errors: tuple[float, ...]  # headline of each group, aggregated as the task says
    samples: tuple[PositiveInt, ...]  # in each group

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if not len(self.values) == len(self.errors) == len(self.samples):
            raise ValueError("values, errors and samples are not as many; evaluate again")
        return self


class Calibration(_Stored):
    """What bands were widened by, and on what."""

    level: float
    corpus: str
    split: str
    shard_fingerprint: str
    samples: PositiveInt
    factors: tuple[tuple[float, ...], ...]  # of every predicted frame and asked channel


class Record(_Stored):
    """One checkpoint on one task."""

    model: ModelFacts
    task: Task
    task_hash: str
    scores: dict[MetricName, Score]
    error_per_frame: tuple[float, ...]  # L2RE of each predicted frame, mean over samples
    num_samples: PositiveInt  # windows judged
    num_available: PositiveInt  # windows of the whole split
    num_non_finite: NonNegativeInt  # samples whose forecast diverged
    seconds: float
    provenance: Provenance
    bootstrap: Bootstrap = Bootstrap()
    along: Along | None = None
    calibration: Calibration | None = None  # of bands, if the task asks for them

    @property
    def headline(self) -> Score:
        return self.scores[self.task.headline]

    @property
    def data(self) -> str:
        """Fingerprint of the data judged on, and of those that bands were calibrated on."""
        calibrated = self.calibration
        return data_of(
            self.provenance.shard_fingerprint,
            None if calibrated is None else calibrated.shard_fingerprint,
        )


def data_of(judged: str, calibrated: str | None) -> str:
    """What two measurements must share: one fingerprint, or one of two."""
    return judged if calibrated is None else digest([judged, calibrated])


Identity = tuple[str, str, str, int]


def identity(record: Record) -> Identity:
    """What makes two records the same measurement."""
    return record.model.fingerprint, record.task_hash, record.data, record.num_samples


class ResultFile(_Stored):
    """All records of one run."""

    format: Literal["foundation-evaluation"] = "foundation-evaluation"
    version: Literal[1] = 1
    samples_file: str  # name of the file of per-sample values, in the same folder
    records: tuple[Record, ...]


def aggregate(
    values_N: NDArray[np.float64],
    *,
    windows: int = 1,
    how: Aggregation = "mean",
    bootstrap: Bootstrap | None = None,
) -> Score:
    """Per-sample values to a score with its bootstrap standard error.

    Args:
        values_N: one value per window, those of one trajectory side by side.
        windows: of every trajectory.
        how: mean or median.
        bootstrap: how to draw.
    """
    drawn = bootstrap or Bootstrap()
    error = standard_error(
        values_N, windows=windows, of=how, seed=drawn.seed, resamples=drawn.resamples
    )
    return Score(value=_central(values_N, how), standard_error=error)


def _central(values_N: NDArray[np.float64], how: Aggregation) -> float:
    return float(values_N.mean() if how == "mean" else np.median(values_N))


def aggregate_all(
    values: dict[MetricName, NDArray[np.float64]],
    task: Task | None = None,
    bootstrap: Bootstrap | None = None,
) -> dict[MetricName, Score]:
    """`aggregate` for every metric, by the terms of a task (one window and the mean without)."""
    windows, how = (len(task.windows), task.aggregation) if task else (1, "mean")
    return {
        name: aggregate(values_N, windows=windows, how=how, bootstrap=bootstrap)
        for name, values_N in values.items()
    }


def along_parameter(
    parameters: Mapping[str, NDArray[np.float64]],
    values_N: NDArray[np.float64],
    how: Aggregation = "mean",
) -> Along | None:
    """Samples grouped by a parameter: by its values where those are few, in equal shares if not.

    Args:
        parameters: the ladder's parameter in every sample (N,), or nothing.
        values_N: the headline of every sample.
        how: mean or median.

    Returns:
        None where all samples have one value, or where one has none.
    """
    for parameter, places_N in parameters.items():
        if not np.isfinite(places_N).all():
            return None
        distinct = np.unique(places_N)
        if len(distinct) > DISTINCT_VALUES:
            groups = np.array_split(np.argsort(places_N, kind="stable"), SHARES)
        else:
            groups = [np.flatnonzero(places_N == value) for value in distinct]
        if len(groups) > 1:
            return Along(
                parameter=parameter,
                values=tuple(_drawn(places_N[group].mean()) for group in groups),
                errors=tuple(_drawn(_central(values_N[group], how)) for group in groups),
                samples=tuple(map(len, groups)),
            )
    return None


def _drawn(value: float) -> float:
    """To six digits: it is drawn, and files of records are kept small."""
    return float(f"{value:.6g}")


def check_record(record: Record, where: str) -> None:
    """Refuse a record that no run writes; a board would rank it all the same.

    A diverged forecast is +infinity and stands; NaN and -infinity would pass for the best.

    Args:
        record: as it was read.
        where: file and place in it, for the message.

    Raises:
        UserError: no headline, a hash that is not the task's, or a value without an order.
    """
    where = f"{where} ({record.model.name} on {record.task.name})"
    if record.task.headline not in record.scores:
        raise UserError(
            f"{where}: no score {record.task.headline!r}, the headline of its task; evaluate again"
        )
    if record.task.hash != record.task_hash:
        raise UserError(
            f"{where}: its task_hash is {record.task_hash[:10]}, the task in it has "
            f"{record.task.hash[:10]}; one of them was changed, evaluate again"
        )
    for name, value in _values(record):
        if math.isnan(value) or value == -math.inf:
            raise UserError(
                f"{where}: {name} is {value}, wanted a number or Infinity; evaluate again"
            )


def _values(record: Record) -> Iterator[tuple[str, float]]:
    """Everything that is ranked, printed or drawn, by name."""
    for metric, score in record.scores.items():
        yield metric, score.value
        if score.standard_error is not None:
            yield f"standard_error of {metric}", score.standard_error
    yield from (("error_per_frame", value) for value in record.error_per_frame)
    if record.along is not None:
        yield from ((f"error along {record.along.parameter}", v) for v in record.along.errors)


def samples_path(output: Path) -> Path:
    """Where the per-sample values of a results file lie."""
    return output.with_name(f"{output.name.removesuffix('.json')}.samples.npz")


def predictions_path(output: Path, model: ModelFacts, task: Task) -> Path:
    """Where the predictions behind a record of a results file lie, if they were saved."""
    folder = output.with_name(f"{output.name.removesuffix('.json')}.predictions")
    return folder / f"{task.name}-{task.hash[:8]}-{model.fingerprint[:8]}.npz"
