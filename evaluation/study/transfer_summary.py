"""What fine-tuning in a study found: every run in, errors at chosen learning rates out. Pure.

The learning rate of a number of trajectories is the one whose validation error, in the mean over
runs, is the smallest: the test has no say in it. A mean is over seeds of fine-tuning and, after
pre-training, of pre-training, too.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from data_shards.config import Config
from data_shards.errors import UserError
from evaluation.study.summary import OverSeeds, over_seeds
from evaluation.transfer.record import SOURCES, Source


class _Stored(Config):
    """JSON has no infinity; a diverged error is written as the string "Infinity"."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class TransferPoint(_Stored):
    """One fine-tuning, judged."""

    model: str
    mixture: str
    pretraining_seed: NonNegativeInt | None  # None from scratch
    corpus: str
    source: Source
    trajectories: PositiveInt
    learning_rate: PositiveFloat
    seed: NonNegativeInt
    validation_error: NonNegativeFloat | None
    error: NonNegativeFloat  # on the test
    record: str  # name of its file


class Chosen(_Stored):
    """The runs of one source at the learning rate that validation chose."""

    learning_rate: PositiveFloat
    runs: PositiveInt
    validation_error: OverSeeds | None  # None: not validated, and there was nothing to choose
    error: OverSeeds


class TransferCell(_Stored):
    """A model after a mixture, at one number of trajectories of one corpus."""

    model: str
    mixture: str
    corpus: str
    trajectories: PositiveInt
    pretrained: Chosen | None
    scratch: Chosen | None
    error_factor: NonNegativeFloat | None  # error from scratch over that after pre-training


class StudyTransfer(_Stored):
    """All fine-tuning of a study, as far as it is done."""

    format: Literal["foundation-study-transfer"] = "foundation-study-transfer"
    version: Literal[1] = 1
    title: str
    tasks: dict[str, str]  # corpus -> task that it is judged by
    headlines: dict[str, str]  # corpus -> what is measured
    points: tuple[TransferPoint, ...]
    cells: tuple[TransferCell, ...]


class _Place(NamedTuple):
    model: str
    mixture: str
    corpus: str
    trajectories: int


def summarise_transfer(
    title: str,
    tasks: dict[str, str],
    headlines: dict[str, str],
    points: Sequence[TransferPoint],
) -> StudyTransfer:
    """Choose learning rates, and average over seeds.

    Args:
        title: of the study.
        tasks: corpus -> task that it is judged by.
        headlines: corpus -> what is measured, of which less is better.
        points: every run once.

    Raises:
        UserError: no run, or several learning rates and no validation to choose by.
    """
    if not points:
        raise UserError("no finished fine-tuning to summarise")
    places = dict.fromkeys(map(_place, points))
    return StudyTransfer(
        title=title,
        tasks=tasks,
        headlines=headlines,
        points=tuple(points),
        cells=tuple(_cell(place, [p for p in points if _place(p) == place]) for place in places),
    )


def _place(point: TransferPoint) -> _Place:
    return _Place(point.model, point.mixture, point.corpus, point.trajectories)


def _cell(place: _Place, points: Sequence[TransferPoint]) -> TransferCell:
    by_source = {
        source: _chosen([point for point in points if point.source == source]) for source in SOURCES
    }
    ours, theirs = by_source["pretrained"], by_source["scratch"]
    return TransferCell(
        **place._asdict(), pretrained=ours, scratch=theirs, error_factor=_factor(ours, theirs)
    )


def _chosen(points: Sequence[TransferPoint]) -> Chosen | None:
    """The learning rate with the smallest mean validation error; of equal ones the smallest.

    Of a study that is not done, only rates that have all the runs that any has are comparable.
    """
    by_rate: dict[float, list[TransferPoint]] = {}
    for point in points:
        by_rate.setdefault(point.learning_rate, []).append(point)
    if not by_rate:
        return None
    most = max(map(len, by_rate.values()))
    whole = sorted(rate for rate, own in by_rate.items() if len(own) == most)
    rate = min(whole, key=lambda each: _validated(by_rate[each], len(by_rate)))
    own = by_rate[rate]
    validated = [p.validation_error for p in own if p.validation_error is not None]
    return Chosen(
        learning_rate=rate,
        runs=len(own),
        validation_error=over_seeds(validated) if len(validated) == len(own) else None,
        error=over_seeds(point.error for point in own),
    )


def _validated(points: Iterable[TransferPoint], rates: int) -> float:
    """Mean validation error; without validation there is nothing to choose by."""
    errors = []
    for point in points:
        if point.validation_error is None and rates > 1:
            raise UserError(
                f"{point.record}: has no validation error to choose among {rates} learning rates "
                f"by; generate a validation split of {point.corpus}, or name one rate"
            )
        errors.append(point.validation_error or 0.0)
    return fmean(errors)


def _factor(ours: Chosen | None, theirs: Chosen | None) -> float | None:
    if ours is None or theirs is None:
        return None
    error = ours.error.mean
    return theirs.error.mean / error if error > 0 and math.isfinite(error) else None
