"""The drawing of a sweep: two few-shot curves in, SVG in the manner of `evaluation.plots` out."""

import math
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from evaluation.plots import FLOOR_COLOUR, INK, PALETTE, STYLE, inline_svg
from evaluation.records.table import metric_title
from evaluation.transfer.curve import Gain, Point
from evaluation.transfer.record import Source, TransferSummary

_LOG_SPAN = 4.0
_LABELS: dict[Source, str] = {"pretrained": "from the checkpoint", "scratch": "from scratch"}
_LOOKS: dict[Source, tuple[str, str]] = {
    "pretrained": (PALETTE[0], "o-"),
    "scratch": (PALETTE[1], "s--"),
}


def draw_transfer(summary: TransferSummary) -> str:
    """Error against number of trajectories, means and standard errors over seeds.

    Thin arrows lead from the checkpoint's errors to the number of trajectories that
    learning from scratch takes for the same; a dotted line stands where the curves cross.
    """
    title = f"{summary.corpus} from {summary.checkpoint}"
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"transfer {title}"}):
        figure = Figure(figsize=(4.6, 3.1), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        for source, points in summary.curves.items():
            finite = [point for point in points if math.isfinite(point.error) and point.error > 0]
            _draw_curve(axes, finite, source)
        for gain in summary.gains:
            _draw_saving(axes, gain)
        if summary.crossing is not None and summary.crossing.bound == "exact":
            axes.axvline(summary.crossing.trajectories, color=FLOOR_COLOUR, ls=":", lw=1)
        sizes = sorted({point.trajectories for curve in summary.curves.values() for point in curve})
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        _scale_errors(axes, [p.error for curve in summary.curves.values() for p in curve])
        axes.set_xlabel(f"trajectories of {summary.corpus}")
        axes.set_ylabel(metric_title(summary.headline))
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8)
        return inline_svg(figure, f"{metric_title(summary.headline)} against trajectories: {title}")


def _draw_curve(axes: Axes, points: Sequence[Point], source: Source) -> None:
    colour, line = _LOOKS[source]
    axes.errorbar(
        [point.trajectories for point in points],
        [point.error for point in points],
        yerr=[point.standard_error or 0.0 for point in points],
        fmt=line,
        color=colour,
        linewidth=1.6,
        markersize=4,
        capsize=2,
        label=_LABELS[source],
    )


def _scale_errors(axes: Axes, errors: Sequence[float]) -> None:
    """Logarithmic, with plain numbers, where the errors span enough to have labels there."""
    finite = [error for error in errors if math.isfinite(error) and error > 0]
    if not finite or max(finite) < _LOG_SPAN * min(finite):
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.yaxis.set_minor_formatter(plain)


def _draw_saving(axes: Axes, gain: Gain) -> None:
    if gain.equal is None or gain.equal.bound != "exact":
        return
    start = (gain.trajectories, gain.pretrained.error)
    end = (gain.equal.trajectories, gain.pretrained.error)
    arrow = {"arrowstyle": "->", "color": FLOOR_COLOUR, "linewidth": 0.8}
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
