"""What a study found: the errors of every run in, means over seeds, ranks and wins out. Pure.

Seeds are the repetitions: a spread is that of runs which differ in nothing else, so it
holds initial weights, order and noise, but not the choice of test trajectories, which all
runs share. Ranks are taken within one mixture, where all else is equal.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from data_shards.config import Config, later
from data_shards.errors import UserError


class _Stored(Config):
    """JSON has no infinity; a diverged error is written as the string "Infinity"."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class StudyPoint(_Stored):
    """One run, judged."""

    name: str
    model: str
    mixture: str
    corpora: PositiveInt  # in its mixture
    seed: NonNegativeInt
    steps: PositiveInt
    samples: PositiveInt
    # That its steps took, of the first rank, without validations; older logs do not tell.
    processor_seconds: NonNegativeFloat | None = later(None)
    parameters_total: NonNegativeInt
    parameters_activated: NonNegativeInt
    flops_per_frame: NonNegativeInt | None
    errors: dict[str, float] = Field(min_length=1)  # task -> headline, an error


class OverSeeds(_Stored):
    """Mean of a figure over seeds."""

    mean: float
    standard_error: NonNegativeFloat | None  # of the mean; None for one seed or a diverged one


class Standing(_Stored):
    """A model after one mixture."""

    model: str
    mixture: str
    corpora: PositiveInt
    seeds: PositiveInt
    steps: PositiveInt
    processor_seconds: OverSeeds | None = later(None)
    parameters_total: NonNegativeInt
    parameters_activated: NonNegativeInt
    flops_per_frame: NonNegativeInt | None
    errors: dict[str, OverSeeds]  # by task
    geometric_mean: OverSeeds  # of a run's errors over the tasks
    mean_rank: OverSeeds  # within the mixture, over tasks and then over seeds


class Wins(_Stored):
    """A model beside another one after the same mixture.

    A win is clear if the mean difference over seeds exceeds twice its standard error.
    """

    mixture: str
    model: str
    other: str
    tasks: PositiveInt
    better: NonNegativeInt  # tasks with the smaller mean error
    clearly_better: NonNegativeInt
    clearly_worse: NonNegativeInt


class StudySummary(_Stored):
    """A whole study, as far as it is done."""

    format: Literal["foundation-study"] = "foundation-study"
    version: Literal[1] = 1
    title: str
    tasks: dict[str, str]  # name -> what is measured
    points: tuple[StudyPoint, ...]
    standings: tuple[Standing, ...]  # mixtures in their order, best mean rank first
    wins: tuple[Wins, ...]


def summarise(title: str, tasks: dict[str, str], points: Sequence[StudyPoint]) -> StudySummary:
    """Means over seeds, ranks and wins.

    Args:
        title: of the study.
        tasks: name -> headline, of which less is better.
        points: every run once, all judged on all tasks.

    Raises:
        UserError: no run, or one that was not judged on all tasks.
    """
    if not points:
        raise UserError("no finished run to summarise")
    for point in points:
        if missing := sorted(set(tasks) - set(point.errors)):
            raise UserError(f"run {point.name}: not judged on {', '.join(missing)}; evaluate it")
    mixtures = list(dict.fromkeys(point.mixture for point in points))
    standings: list[Standing] = []
    wins: list[Wins] = []
    for mixture in mixtures:
        within = [point for point in points if point.mixture == mixture]
        standings += sorted(_standings(within, list(tasks)), key=lambda s: s.mean_rank.mean)
        wins += _wins(within, list(tasks))
    return StudySummary(
        title=title,
        tasks=tasks,
        points=tuple(points),
        standings=tuple(standings),
        wins=tuple(wins),
    )


def _standings(points: Sequence[StudyPoint], tasks: Sequence[str]) -> list[Standing]:
    ranks = {point.name: _mean_rank(point, points, tasks) for point in points}
    found = []
    for own in _by_model(points).values():
        first = own[0]
        found.append(
            Standing(
                **first.model_dump(
                    include={
                        "model",
                        "mixture",
                        "corpora",
                        "steps",
                        "parameters_total",
                        "parameters_activated",
                        "flops_per_frame",
                    }
                ),
                seeds=len(own),
                processor_seconds=_processor_seconds(own),
                errors={task: over_seeds(p.errors[task] for p in own) for task in tasks},
                geometric_mean=over_seeds(_geometric_mean(p, tasks) for p in own),
                mean_rank=over_seeds(ranks[p.name] for p in own),
            )
        )
    return found


def _processor_seconds(points: Sequence[StudyPoint]) -> OverSeeds | None:
    known = [p.processor_seconds for p in points if p.processor_seconds is not None]
    return over_seeds(known) if len(known) == len(points) else None


def over_seeds(values: Iterable[float]) -> OverSeeds:
    """Mean and its standard error."""
    found = list(values)
    spread = None
    if len(found) > 1 and all(map(math.isfinite, found)):
        spread = stdev(found) / math.sqrt(len(found))
    return OverSeeds(mean=fmean(found), standard_error=spread)


def _mean_rank(point: StudyPoint, points: Sequence[StudyPoint], tasks: Sequence[str]) -> float:
    """Over tasks, among the runs of the same seed; equal errors share a rank."""
    rivals = [other for other in points if other.seed == point.seed]
    return fmean(
        1 + sum(other.errors[task] < point.errors[task] for other in rivals) for task in tasks
    )


def _geometric_mean(point: StudyPoint, tasks: Sequence[str]) -> float:
    """Every task counts by its relative error, whatever its size."""
    if any(point.errors[task] == 0 for task in tasks):
        return 0.0
    return math.exp(fmean(math.log(point.errors[task]) for task in tasks))


def _wins(points: Sequence[StudyPoint], tasks: Sequence[str]) -> list[Wins]:
    models = _by_model(points)
    found = []
    for model, own in models.items():
        for other, theirs in models.items():
            if model == other:
                continue
            gaps = [_gap(own, theirs, task) for task in tasks]
            sure = [gap.mean for gap in gaps if _is_clear(gap)]
            found.append(
                Wins(
                    mixture=own[0].mixture,
                    model=model,
                    other=other,
                    tasks=len(tasks),
                    better=sum(gap.mean < 0 for gap in gaps),
                    clearly_better=sum(gap < 0 for gap in sure),
                    clearly_worse=sum(gap > 0 for gap in sure),
                )
            )
    return found


def _gap(own: Sequence[StudyPoint], theirs: Sequence[StudyPoint], task: str) -> OverSeeds:
    """Difference of the mean errors, its error from both spreads; seeds of two models share
    nothing but the order of samples, so they are not taken as pairs."""
    ours, other = (over_seeds(p.errors[task] for p in points) for points in (own, theirs))
    if ours.mean == other.mean:  # also two diverged ones
        return OverSeeds(mean=0.0, standard_error=None)
    if ours.standard_error is None or other.standard_error is None:
        return OverSeeds(mean=ours.mean - other.mean, standard_error=None)
    return OverSeeds(
        mean=ours.mean - other.mean,
        standard_error=math.hypot(ours.standard_error, other.standard_error),
    )


def _is_clear(gap: OverSeeds) -> bool:
    return gap.standard_error is not None and abs(gap.mean) > 2 * gap.standard_error


def _by_model(points: Sequence[StudyPoint]) -> dict[str, list[StudyPoint]]:
    models: dict[str, list[StudyPoint]] = {}
    for point in points:
        models.setdefault(point.model, []).append(point)
    return models
