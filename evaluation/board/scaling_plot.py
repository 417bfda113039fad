"""Drawing of scaling curves: points and fitted laws in, inline SVG out."""

import math
from collections.abc import Sequence
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.board.scaling import PowerLaw, ScalingCurve, SizePoint
from evaluation.plots import INK, STYLE, inline_svg, line_style, tick_decades
from evaluation.records.table import number

Counted = Literal["activated", "total"]
_MOST_NAMED = 12  # points; more names than this would cover each other


def draw_scaling(curves: Sequence[ScalingCurve], counted: Counted, error: str, title: str) -> str:
    """Error against number of parameters, both axes logarithmic.

    Args:
        curves: one per kind of model, at least one.
        counted: which parameters.
        error: what the points stand for.
        title: for readers of the drawing's description.
    """
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"scaling {counted} {title}"}):
        figure = Figure(figsize=(4.6, 3.0), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(0.08)
        for place, curve in enumerate(curves):
            _draw_curve(axes, curve, counted, line_style(place, False)[0])
        _name_points(axes, curves, counted)
        tick_decades(axes.xaxis, _parameters)
        tick_decades(axes.yaxis)
        axes.set_xlabel(f"{counted} parameters")
        axes.set_ylabel(error)
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        figure.legend(frameon=False, fontsize=7, loc="outside upper left", ncols=2)
        return inline_svg(figure, f"{error} against {counted} parameters: {title}")


def exponent(law: PowerLaw) -> str:
    """`−0.212 ± 0.031`."""
    text = number(law.exponent).replace("-", "−", 1)
    if law.exponent_error is not None:
        text += f" ± {number(law.exponent_error, digits=2)}"
    return text


def _size(point: SizePoint, counted: Counted) -> int:
    return point.activated if counted == "activated" else point.total


def _draw_curve(axes: Axes, curve: ScalingCurve, counted: Counted, colour: str) -> None:
    law = curve.by_activated if counted == "activated" else curve.by_total
    sizes = [_size(point, counted) for point in curve.points]
    axes.errorbar(
        sizes,
        [point.error for point in curve.points],
        yerr=[point.standard_error or 0.0 for point in curve.points],
        fmt="o",
        color=colour,
        markersize=4,
        elinewidth=0.8,
        label=curve.model_type + ("" if law is None else f": exponent {exponent(law)}"),
    )
    if law is not None:
        ends = [min(sizes), max(sizes)]
        axes.plot(ends, [law(end) for end in ends], color=colour, linewidth=1.2)


def _name_points(axes: Axes, curves: Sequence[ScalingCurve], counted: Counted) -> None:
    """Names beside the points, on the side where the drawing has room."""
    points = [point for curve in curves for point in curve.points]
    if len(points) > _MOST_NAMED:
        return
    low, high = axes.get_xlim()
    for point in points:
        size = _size(point, counted)
        left = size > math.sqrt(low * high)
        axes.annotate(
            point.label.replace("$", r"\$"),  # else it would start a formula
            (size, point.error),
            xytext=(-5, -9) if left else (5, 3),  # errors fall to the right
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=6.5,
        )


def _parameters(size: float) -> str:
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= scale:
            return f"{size / scale:g} {unit}"
    return f"{size:g}"
