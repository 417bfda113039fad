"""Errors on known frames beside every frame of a forecast: as numbers, as words, as a curve."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from evaluation.plots import FLOOR_COLOUR, INK, PALETTE, tick_decades
from evaluation.records.table import number
from evaluation.simulation.known_frames import KnownErrors
from evaluation.simulation.verdict import Thresholds

_DECADES_FROM = 30.0  # largest error over the smallest from which the axis is logarithmic


def errors_beside(errors: KnownErrors | None, steps: int) -> dict[str, NDArray[np.float64]]:
    """What a forecast's file holds of every frame: the relative L2 error that is expected, and the
    spread of forecasts of known frames as far ahead; NaN where none is known.

    Args:
        errors: on known frames.
        steps: frames of the forecast.
    """
    rows = () if errors is None else errors.by_frame
    floors = () if errors is None else errors.floor_by_frame
    columns = {
        "forecast_error": [row.expected for row in rows],
        "forecast_error_lowest": [row.lowest for row in rows],
        "forecast_error_highest": [row.highest for row in rows],
        "forecast_error_of_persistence": list(floors),
    }
    return {
        name: np.array([*values, *[np.nan] * steps][:steps], np.float64)
        for name, values in columns.items()
    }


def error_words(errors: KnownErrors | None, steps: int) -> list[str]:
    """The same in words, for every frame of a forecast: "error .05" or "not tested"."""
    known = [] if errors is None else [f"error {number(row.expected)}" for row in errors.by_frame]
    return [*known, *["not tested"] * steps][:steps]


def draw_known_errors(axes: Axes, errors: KnownErrors, frames: int) -> None:
    """What is expected of the model and of persistence, the spread, and what is not tested.

    Args:
        axes: to draw on; `finish` them when all is drawn.
        errors: on known frames.
        frames: of the forecast.
    """
    rows = errors.by_frame[:frames]
    ahead = np.arange(1, len(rows) + 1)
    low, middle, high = (
        _finite([getattr(row, name) for row in rows]) for name in ("lowest", "expected", "highest")
    )
    count = len(errors.starts)
    marker = "o" if len(rows) == 1 else ""
    axes.plot(
        ahead, middle, color=PALETTE[0], marker=marker,
        label=f"expected, by {count} forecast{'s' * (count > 1)} of known frames",
    )  # fmt: skip
    axes.fill_between(ahead, low, high, color=PALETTE[0], alpha=0.2, linewidth=0)
    floor = _finite(errors.floor_by_frame[:frames])
    axes.plot(ahead, floor, ":", color=FLOOR_COLOUR, marker=marker, label="persistence, likewise")
    if len(rows) < frames:
        axes.axvspan(len(rows) + 0.5, frames + 0.5, color=INK, alpha=0.08, linewidth=0)
        axes.text(
            0.5 * (len(rows) + frames + 1), 0.97, "not tested", ha="center", va="top",
            transform=axes.get_xaxis_transform(), fontsize=8,
        )  # fmt: skip


def finish(axes: Axes, frames: int) -> None:
    """Labels and limits, once everything is drawn; logarithmic where errors span decades."""
    values = np.concatenate([np.zeros(0), *(line.get_ydata() for line in axes.get_lines())])
    values = values[np.isfinite(values) & (values > 0)]
    thresholds = Thresholds()
    for limit in (thresholds.accurate, thresholds.usable):
        axes.axhline(limit, color=INK, linewidth=0.5, alpha=0.5, dashes=(1, 3))
    if values.size and values.max() > _DECADES_FROM * values.min():
        axes.set_yscale("log")
        tick_decades(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(0.5, frames + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("predicted frame")
    axes.set_ylabel("L2RE, all channels")
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)


def _finite(values: object) -> NDArray[np.float64]:
    found = np.asarray(values, np.float64)
    return np.where(np.isfinite(found), found, np.nan)
