"""How a model errs on frames that are known: forecasts from several of them, by frame ahead.

Each forecast goes as far as the known frames reach, or as far as somebody asks. What the model's
grid does not resolve is left out of a forecast (`resampled`), or it is kept as it was in the last
frame: then the forecast's change is added to the file's own frame. Both are measured, and the one
that errs less is taken.
Axes: S starts, K frames ahead, C channels, H rows and W columns of the file.
"""

import math
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
from pydantic import NonNegativeInt

from data_shards.config import Config
from data_shards.simulation_file import Simulation
from evaluation.metrics.relative import l2re
from evaluation.simulation.on_model_grid import Array, OnModelGrid, scored_points

MOST_STARTS = 8
MOST_STEPS = 200
_BATCH = 4
_MOST_CHANGE = 5.0  # from errors that were measured to those expected later, a factor


class Spread(Config):
    """Errors of several forecasts at some frame ahead."""

    expected: float  # of a forecast from the last frame on
    median: float
    lowest: float
    highest: float


class Horizon(Config):
    """Frames ahead before something happens: as expected, and in the extreme forecasts."""

    expected: NonNegativeInt
    first: NonNegativeInt  # of the forecast that it happens to first
    last: NonNegativeInt  # of the one that it happens to last, or never


class KnownErrors(Config):
    """Relative L2 errors of forecasts of known frames, on the file's own grid.

    Attributes:
        starts: first frames of the contexts, in order; later ones have fewer known frames ahead.
        model: of every start, its frames ahead one after the other; inf where not finite.
        persistence: likewise, of repeating the last given frame.
        channels: that were scored: those that are not zero throughout.
        last: start of a forecast from the last frame on.
        keeps_detail: whether what the model's grid does not resolve is kept from the last frame.
        other: mean of `model` if that were otherwise; None on the model's own grid.
    """

    starts: tuple[NonNegativeInt, ...]
    model: tuple[tuple[float, ...], ...]
    persistence: tuple[tuple[float, ...], ...]
    channels: tuple[str, ...]
    last: NonNegativeInt
    keeps_detail: bool = False
    other: float | None = None

    @property
    def reach(self) -> int:
        """Frames ahead of which any is known."""
        return max(map(len, self.model))

    @property
    def mean(self) -> float:
        """Over all starts and frames."""
        return _mean(self.model)

    @property
    def floor_mean(self) -> float:
        """Likewise, of repeating the last given frame."""
        return _mean(self.persistence)

    @property
    def moves(self) -> bool:
        """Whether anything changes in these frames."""
        return any(error > 0 for row in self.persistence for error in row)

    @property
    def by_frame(self) -> tuple[Spread, ...]:
        """The model's errors, one frame ahead and so on."""
        there = expected(self.model, self.starts, self.last)
        return tuple(map(_spread_of, _columns(self.model), there))

    @property
    def floor_by_frame(self) -> tuple[float, ...]:
        """Errors of repeating the last given frame, as expected from the last frame on."""
        return expected(self.persistence, self.starts, self.last)

    @property
    def forecasts_by_frame(self) -> tuple[int, ...]:
        """How many forecasts know each frame."""
        return tuple(map(len, _columns(self.model)))

    def within(self, limit: float) -> Horizon:
        """Frames before the first whose error exceeds a limit."""
        rows = self.by_frame
        return Horizon(
            expected=_until([row.expected <= limit for row in rows]),
            first=_until([row.highest <= limit for row in rows]),
            last=_until([row.lowest <= limit for row in rows]),
        )

    @property
    def better_until(self) -> int:
        """The last frame ahead up to which the model errs less, in the mean, than persistence."""
        model = np.cumsum([row.expected for row in self.by_frame])
        better = np.nonzero(model < np.cumsum(self.floor_by_frame))[0]
        return int(better[-1]) + 1 if len(better) else 0


def as_it_is(fields: Array) -> Array:
    """Fields of a file that nobody has scaled."""
    return fields


def known_errors(
    placed: OnModelGrid,
    simulation: Simulation,
    context_frames: int,
    steps: int | None = None,
    in_file: Callable[[Array], Array] = as_it_is,
) -> KnownErrors | None:
    """Measure forecasts of known frames.

    Args:
        placed: the simulation on the model's grid.
        simulation: as its file was read, or as a model sees it in other units.
        context_frames: that the model begins with.
        steps: frames ahead that matter; None: all that are known, at most `MOST_STEPS`.
        in_file: gives the file's values of fields (K, C, H, W), in which errors are measured.

    Returns:
        None if no frame is known that a forecast could be compared with.
    """
    fields = simulation.fields
    known = len(fields) - context_frames
    if not known:
        return None
    steps = min(steps or MOST_STEPS, known)
    whole = known - steps + 1  # starts that know all of them
    starts = spread_evenly(whole if whole >= MOST_STARTS else known, MOST_STARTS)
    points = scored_points(simulation, in_file(fields[context_frames:]))
    plain: list[tuple[float, ...]] = []
    detailed: list[tuple[float, ...]] = []
    floors: list[tuple[float, ...]] = []
    for first in range(0, len(starts), _BATCH):
        chosen = starts[first : first + _BATCH]
        ahead = min(steps, known - chosen[0])
        for start, predicted in zip(chosen, placed.predict(chosen, ahead), strict=True):
            begin = start + context_frames
            true = in_file(fields[begin : begin + ahead])
            last = in_file(fields[begin - 1 : begin])
            frames = placed.back(predicted[None, : len(true)], [start])[0]
            plain.append(_errors(in_file(frames), true, points))
            floors.append(_errors(last.repeat(len(true), 0), true, points))
            if placed.resamples:
                whole_frames = in_file(placed.with_detail(frames, begin - 1))
                detailed.append(_errors(whole_frames, true, points))
    keeps = bool(detailed) and _mean(detailed) < _mean(plain)
    kept = points.amax(dim=(0, 1, 3, 4)).tolist()
    return KnownErrors(
        starts=tuple(starts),
        model=tuple(detailed if keeps else plain),
        persistence=tuple(floors),
        channels=tuple(n for n, k in zip(simulation.channels, kept, strict=True) if k),
        last=known,
        keeps_detail=keeps,
        other=_mean(plain if keeps else detailed) if detailed else None,
    )


def expected(
    rows: Sequence[Sequence[float]], starts: Sequence[int], start: int
) -> tuple[float, ...]:
    """Errors by frame ahead of a forecast from another start, if they go on changing as they did.

    Some flows die out, others grow turbulent: ln error = a(frame ahead) + b start, by least squares
    over all forecasts, with one slope b. It is followed from the middle of those starts that know
    a frame to the one asked for, as far as a factor of `_MOST_CHANGE`.

    Args:
        rows: errors of every start, one frame ahead and so on.
        starts: numbers of the starts.
        start: the one asked for.

    Returns:
        inf where a forecast is not finite.
    """
    columns = [np.array(column) for column in _columns(rows)]
    places = [np.array(starts[: len(column)], float) for column in columns]
    fits = [bool((column > 0).all() and np.isfinite(column).all()) for column in columns]
    along = across = 0.0
    for column, place, fit in zip(columns, places, fits, strict=True):
        if fit:
            off = place - place.mean()
            along += float(off @ off)
            across += float(off @ np.log(column))
    slope = across / along if along else 0.0
    most = math.log(_MOST_CHANGE)
    found = []
    for column, place, fit in zip(columns, places, fits, strict=True):
        change = min(max(slope * (start - float(place.mean())), -most), most)
        found.append(math.exp(np.log(column).mean() + change) if fit else float(column.max()))
    return tuple(found)


def spread_evenly(count: int, most: int) -> list[int]:
    """Numbers below `count`, at most so many, the first and the last among them."""
    chosen = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    return sorted(set(chosen.tolist()))


def relative_error(pred: Array, true: Array, points: torch.Tensor) -> float:
    """Relative L2 error of one frame (C, H, W); inf where it is not finite."""
    if not points.any():
        return 0.0
    ours, theirs = (torch.from_numpy(np.ascontiguousarray(f))[None, None] for f in (pred, true))
    return float(l2re(ours, theirs, points))


def _errors(pred: Array, true: Array, points: torch.Tensor) -> tuple[float, ...]:
    """Of each frame apart, so that fine grids need the memory of one frame."""
    return tuple(relative_error(p, t, points) for p, t in zip(pred, true, strict=True))


def _columns(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Rows of several lengths by place: of the first all, of the last those that reach it."""
    return [
        [row[place] for row in rows if place < len(row)] for place in range(max(map(len, rows)))
    ]


def _mean(rows: Sequence[Sequence[float]]) -> float:
    return float(np.mean([error for row in rows for error in row]))


def _spread_of(values: Sequence[float], there: float) -> Spread:
    return Spread(expected=there, median=median(values), lowest=min(values), highest=max(values))


def _until(fits: Sequence[bool]) -> int:
    """How many fit before the first that does not."""
    return [*fits, False].index(False)
