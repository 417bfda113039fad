"""How a model errs on frames that are known: forecasts from several of them, by frame ahead.

Each forecast goes as far as the known frames reach, or as far as somebody asks. What the model's
grid does not resolve is left out of a forecast (`resampled`), or it is kept as it was in the last
frame: then the forecast's change is added to the file's own frame. Both are measured, and the one
that errs less is taken.
Axes: S starts, K frames ahead, C channels, H rows and W columns of the file.
"""

from collections.abc import Sequence
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
_MOST_CHANGE = 5.0


class Spread(Config):
    """One number of several forecasts, at some frame ahead."""

    median: float
    lowest: float
    highest: float


class Horizon(Config):
    """Frames ahead before something happens: in the median forecast, and in the extreme ones."""

    median: NonNegativeInt
    first: NonNegativeInt  # of the forecast that it happens to first
    last: NonNegativeInt  # of the one that it happens to last, or never


class KnownErrors(Config):
    """Relative L2 errors of forecasts of known frames, on the file's own grid.

    Attributes:
        starts: first frames of the contexts, in order; later ones have fewer known frames ahead.
        model: of every start, its frames ahead one after the other; inf where not finite.
        persistence: likewise, of repeating the last given frame.
        channels: that were scored: those that are not zero throughout.
        keeps_detail: whether what the model's grid does not resolve is kept from the last frame.
        other: mean of `model` if that were otherwise; None on the model's own grid.
    """

    starts: tuple[NonNegativeInt, ...]
    model: tuple[tuple[float, ...], ...]
    persistence: tuple[tuple[float, ...], ...]
    channels: tuple[str, ...]
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
        return tuple(map(_spread_of, _columns(self.model)))

    @property
    def floor_by_frame(self) -> tuple[float, ...]:
        """Median errors of repeating the last given frame."""
        return tuple(map(median, _columns(self.persistence)))

    @property
    def forecasts_by_frame(self) -> tuple[int, ...]:
        """How many forecasts know each frame."""
        return tuple(map(len, _columns(self.model)))

    def within(self, limit: float) -> Horizon:
        """Frames before the first whose error exceeds a limit."""
        rows = self.by_frame
        return Horizon(
            median=_until([row.median <= limit for row in rows]),
            first=_until([row.highest <= limit for row in rows]),
            last=_until([row.lowest <= limit for row in rows]),
        )

    @property
    def better_until(self) -> int:
        """The last frame ahead up to which the model errs less, in the mean, than persistence."""
        model = np.cumsum([row.median for row in self.by_frame])
        better = np.nonzero(model < np.cumsum(self.floor_by_frame))[0]
        return int(better[-1]) + 1 if len(better) else 0


def known_errors(
    placed: OnModelGrid, simulation: Simulation, context_frames: int, steps: int | None = None
) -> KnownErrors | None:
    """Measure forecasts of known frames.

    Args:
        placed: the simulation on the model's grid.
        simulation: as its file was read.
        context_frames: that the model begins with.
        steps: frames ahead that matter; None: all that are known, at most `MOST_STEPS`.

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
    points = scored_points(simulation, fields[context_frames:])
    plain: list[tuple[float, ...]] = []
    detailed: list[tuple[float, ...]] = []
    floors: list[tuple[float, ...]] = []
    for first in range(0, len(starts), _BATCH):
        chosen = starts[first : first + _BATCH]
        ahead = min(steps, known - chosen[0])
        for start, predicted in zip(chosen, placed.predict(chosen, ahead), strict=True):
            begin = start + context_frames
            true = fields[begin : begin + ahead]
            last = fields[begin - 1]
            frames = placed.back(predicted[None, : len(true)], [start])[0]
            plain.append(_errors(frames, true, points))
            floors.append(_errors(last[None].repeat(len(true), 0), true, points))
            if placed.resamples:
                detailed.append(_errors(placed.with_detail(frames, begin - 1), true, points))
    keeps = bool(detailed) and _mean(detailed) < _mean(plain)
    kept = points.amax(dim=(0, 1, 3, 4)).tolist()
    return KnownErrors(
        starts=tuple(starts),
        model=tuple(detailed if keeps else plain),
        persistence=tuple(floors),
        channels=tuple(n for n, k in zip(simulation.channels, kept, strict=True) if k),
        keeps_detail=keeps,
        other=_mean(plain if keeps else detailed) if detailed else None,
    )


def expected(
    rows: Sequence[Sequence[float]], starts: Sequence[int], start: int
) -> tuple[float, ...]:
    """Errors by frame ahead of a forecast from another start, if they go on changing as they did.

    Flows that die out get easier, others harder: ln error = a(frame ahead) + b start, by least
    squares, the slope b common to all frames. It is followed from the starts that know a frame to
    the one asked for, by a factor of at most `_MOST_CHANGE`.

    Args:
        rows: errors of every start, one frame ahead and so on.
        starts: numbers of the starts.
        start: the one asked for.

    Returns:
        inf where forecasts are not finite.
    """
    count = max(map(len, rows))
    logs = np.full((len(rows), count), np.nan)
    for place, row in enumerate(rows):
        with np.errstate(divide="ignore"):
            logs[place, : len(row)] = np.log(row)
    known = np.isfinite(logs)
    weights = known.sum(0)
    places = np.array(starts, float)[:, None] * np.ones(count)
    with np.errstate(invalid="ignore"):
        middle = np.where(known, places, 0).sum(0) / weights
        level = np.where(known, logs, 0).sum(0) / weights
    off = np.where(known, places - middle, 0)
    spread = (off**2).sum()
    slope = (off * np.where(known, logs - level, 0)).sum() / spread if spread else 0.0
    most = np.log(_MOST_CHANGE)
    change = np.clip(slope * (start - middle), -most, most)
    return tuple(
        float(np.exp(level[k] + change[k])) if weights[k] > 0 else _limit(rows, k)
        for k in range(count)
    )


def _limit(rows: Sequence[Sequence[float]], place: int) -> float:
    """What errors without a finite logarithm are: all 0, or not finite."""
    return max(row[place] for row in rows if place < len(row))


def spread_evenly(count: int, most: int) -> list[int]:
    """Numbers below `count`, at most so many, the first and the last among them."""
    chosen = np.linspace(0, count - 1, min(count, most)).round().astype(int)
    return sorted(set(chosen.tolist()))


def relative_error(pred: Array, true: Array, points: torch.Tensor) -> float:
    """Relative L2 error of one frame (C, H, W); inf where it is not finite."""
    if not points.any():
        return 0.0
    pair = (torch.from_numpy(np.ascontiguousarray(frame))[None, None] for frame in (pred, true))
    return float(l2re(*pair, points))


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


def _spread_of(values: Sequence[float]) -> Spread:
    return Spread(median=median(values), lowest=min(values), highest=max(values))


def _until(fits: Sequence[bool]) -> int:
    """How many fit before the first that does not."""
    return [*fits, False].index(False)
