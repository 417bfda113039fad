"""Drawing of an observable along a ladder: predicted lines and exact points in, inline SVG out."""

from collections.abc import Mapping

import matplotlib
from matplotlib.figure import Figure

from data_shards.ladders import Ladder
from evaluation.board.observables import Observed
from evaluation.board.shift_plot import mark_trained
from evaluation.plots import INK, STYLE, inline_svg
from evaluation.records.table import metric_title


def draw_observed(observed: Observed, ladder: Ladder, styles: Mapping[str, tuple[str, str]]) -> str:
    """Every row as a line in its own style, the exact states as rings.

    Args:
        observed: one observable along the ladder.
        ladder: its parameter, scale and trained values, which are marked.
        styles: colour and dashes of the rows, by label.

    Returns:
        An element for a page.
    """
    title = metric_title(observed.observable)
    salt = {"svg.hashsalt": f"observed {ladder.name} {observed.observable}"}
    with matplotlib.rc_context(STYLE | salt):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        mark_trained(axes, ladder)
        for label, points in observed.predicted.items():
            colour, dashes = styles[label]
            axes.plot(*zip(*points, strict=True), dashes, color=colour, linewidth=1.4)
        axes.plot(
            *zip(*observed.exact, strict=True),
            linestyle="none",
            marker="o",
            markersize=4,
            markerfacecolor="none",
            color=INK,
        )
        axes.set_xscale(ladder.scale)
        axes.set_xlabel(ladder.parameter.replace("_", " "))
        axes.set_ylabel(title)
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        return inline_svg(figure, f"{title} against {ladder.parameter}, predicted and exact")
