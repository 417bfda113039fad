"""Scaling curves: a board in, error against size with fitted power laws out. Pure.

One curve per kind of model and group of tasks; the error of a model is the geometric
mean of its headlines over the group, so that no task weighs more for being harder.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.board.board import Board, Column, Row

FEWEST = 3  # sizes that a line is fitted through


@dataclass(frozen=True)
class SizePoint:
    """One model.

    Attributes:
        label: its row's.
        total, activated: numbers of parameters.
        error: geometric mean of the headlines.
        standard_error: of it, of first order in those of the headlines; None without one.
    """

    label: str
    total: int
    activated: int
    error: float
    standard_error: float | None


@dataclass(frozen=True)
class PowerLaw:
    """error = coefficient x size ** exponent.

    Attributes:
        coefficient: positive.
        exponent: negative where larger models are better.
        exponent_error: standard error of the exponent; None with less than four points.
    """

    coefficient: float
    exponent: float
    exponent_error: float | None

    def __call__(self, size: float) -> float:
        return self.coefficient * math.pow(size, self.exponent)


@dataclass(frozen=True)
class ScalingCurve:
    """Models of one kind, by growing number of activated parameters.

    Attributes:
        model_type: their kind.
        points: at least one.
        by_total, by_activated: fitted laws; None with less than three sizes.
    """

    model_type: str
    points: tuple[SizePoint, ...]
    by_total: PowerLaw | None
    by_activated: PowerLaw | None


def scaling_curves(board: Board, columns: Sequence[Column]) -> tuple[ScalingCurve, ...]:
    """One curve per kind of model, sorted by name.

    Args:
        board: its rows.
        columns: tasks to be taken together; those whose headline is no error are left out.

    Returns:
        Curves of the models that were judged on all of these tasks without diverging.
    """
    errors = [column.task.name for column in columns if not column.task.higher_is_better]
    points: dict[str, list[SizePoint]] = defaultdict(list)
    for row in board.rows:
        point = _point(row, errors)
        if point is not None:
            points[row.facts.model_type].append(point)
    return tuple(_curve(kind, points[kind]) for kind in sorted(points))


def fit_power_law(sizes: Sequence[float], errors: Sequence[float]) -> PowerLaw | None:
    """Least squares in the logarithms; None with less than three different sizes.

    Args:
        sizes: positive.
        errors: positive, one per size.
    """
    if len(set(sizes)) < FEWEST:
        return None
    x, y = [math.log(size) for size in sizes], [math.log(error) for error in errors]
    mean_x, mean_y = fmean(x), fmean(y)
    spread = sum((each - mean_x) ** 2 for each in x)
    exponent = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    offset = mean_y - exponent * mean_x
    error = None
    if len(x) > FEWEST:
        left = sum((b - offset - exponent * a) ** 2 for a, b in zip(x, y, strict=True))
        error = math.sqrt(left / (len(x) - 2) / spread)
    return PowerLaw(math.exp(offset), exponent, error)


def _point(row: Row, tasks: Sequence[str]) -> SizePoint | None:
    facts = row.facts
    if facts.floor or facts.parameters_activated == 0 or not tasks:
        return None
    if any(task not in row.cells for task in tasks):
        return None
    scores = [row.cells[task].record.headline for task in tasks]
    if any(not (math.isfinite(score.value) and score.value > 0) for score in scores):
        return None
    error = math.exp(fmean(math.log(score.value) for score in scores))
    shares = [(score.standard_error or 0.0) / score.value for score in scores]
    relative = math.sqrt(sum(share**2 for share in shares)) / len(shares)
    return SizePoint(
        label=row.label,
        total=facts.parameters_total,
        activated=facts.parameters_activated,
        error=error,
        standard_error=error * relative if 0 < relative < math.inf else None,
    )


def _curve(kind: str, points: Sequence[SizePoint]) -> ScalingCurve:
    ordered = tuple(sorted(points, key=lambda point: (point.activated, point.total, point.label)))
    return ScalingCurve(
        model_type=kind,
        points=ordered,
        by_total=_law(ordered, lambda point: point.total),
        by_activated=_law(ordered, lambda point: point.activated),
    )


def _law(points: Sequence[SizePoint], size: Callable[[SizePoint], int]) -> PowerLaw | None:
    return fit_power_law([size(point) for point in points], [point.error for point in points])
