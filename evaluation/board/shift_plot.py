"""Drawing of shift curves: the points of a ladder in, inline SVG out.

The parameter runs along the ladder's own scale; what models were trained on is
marked, so that the distance from it can be seen on either side. A rung that stands for a range
is a dot at its middle, with a thin line through the groups of its samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data_shards.ladders import Ladder
from evaluation.board.shift import ShiftCurve
from evaluation.plots import FLOOR_COLOUR, INK, STYLE, inline_svg, line_style, tick_decades
from evaluation.records.table import metric_title

Styles = Mapping[str, tuple[str, str]]  # model -> colour and dashes


@dataclass(frozen=True)
class Panel:
    """Something else that depends on the parameter, drawn below the errors.

    Attributes:
        label: of its axis.
        heights: by value of the parameter.
        scale: of its axis.
    """

    label: str
    heights: Mapping[float, float]
    scale: Literal["log", "linear"]


def draw_shift(
    curves: Sequence[ShiftCurve],
    ladder: Ladder,
    styles: Styles | None = None,
    panels: Sequence[Panel] = (),
    level: float | None = None,
) -> str:
    """Headline against the ladder's parameter, one line per model, the floor below or above.

    Args:
        curves: of one ladder and one headline, at least one; points that are not finite are
            left out.
        ladder: its parameter, scale and trained values.
        styles: of the models, by name; the palette's by default.
        panels: to be drawn below, along the same parameter.
        level: of a headline that is a share, what it is to be; None of an error.

    Returns:
        An element for a page.
    """
    headline = curves[0].headline
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"shift {ladder.name} {headline}"}):
        figure = Figure(figsize=(4.6, 2.7 + 0.9 * len(panels)), layout="constrained")
        heights = [3.0] + [1.0] * len(panels)
        grid = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)
        axes, *below = grid[:, 0]
        mark_trained(axes, ladder)
        _draw_floor(axes, curves)
        for number, curve in enumerate(curves):
            _draw_curve(axes, curve, (styles or {}).get(curve.model, line_style(number, False)))
        axes.set_xscale(ladder.scale)
        if level is not None:
            axes.axhline(level, color=INK, linewidth=0.8, linestyle=":")
            axes.set_ylim(-0.03, 1.03)
        elif _all_positive(curves):
            axes.set_yscale("log")
            tick_decades(axes.yaxis)
        axes.set_ylabel(metric_title(headline))
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        for lower, panel in zip(below, panels, strict=True):
            _draw_panel(lower, panel)
        grid[-1, 0].set_xlabel(ladder.parameter.replace("_", " "))
        return inline_svg(figure, f"{metric_title(headline)} against {ladder.parameter}")


def mark_trained(axes: Axes, ladder: Ladder) -> None:
    """Shade the range, or line the values, that models are trained on."""
    if ladder.interval:
        axes.axvspan(min(ladder.trained), max(ladder.trained), color=INK, alpha=0.08, linewidth=0)
        return
    for value in ladder.trained:
        axes.axvline(value, color=INK, alpha=0.35, linewidth=0.8)


def _draw_curve(axes: Axes, curve: ShiftCurve, style: tuple[str, str]) -> None:
    colour, dashes = style
    points = [point for point in curve.points if np.isfinite(point.error)]
    errors = [point.standard_error or 0.0 for point in points]
    axes.errorbar(
        [point.value for point in points],
        [point.error for point in points],
        yerr=[error if np.isfinite(error) else 0.0 for error in errors],
        fmt=dashes,
        color=colour,
        marker="o",
        markersize=3,
        linewidth=1.6,
        elinewidth=0.8,
    )
    along = sorted(pair for point in points for pair in point.along if np.isfinite(pair[1]))
    values, groups = [value for value, _ in along], [error for _, error in along]
    axes.plot(values, groups, color=colour, linewidth=0.7, alpha=0.7)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.bar(list(panel.heights), list(panel.heights.values()), color=INK, width=0.5)
    axes.set_yscale(panel.scale)
    axes.set_ylabel(panel.label, fontsize=7)
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)


def _draw_floor(axes: Axes, curves: Sequence[ShiftCurve]) -> None:
    floors = {
        point.value: point.floor
        for curve in curves
        for point in curve.points
        if point.floor is not None and np.isfinite(point.floor)
    }
    values = sorted(floors)
    axes.plot(values, [floors[v] for v in values], "--", color=FLOOR_COLOUR, linewidth=1.2)


def _all_positive(curves: Sequence[ShiftCurve]) -> bool:
    errors = [p.error for c in curves for p in c.points if np.isfinite(p.error)]
    return bool(errors) and min(errors) > 0
