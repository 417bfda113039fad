"""Error against frame: errors in, an inline drawing out, and where a cursor goes on it."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.plots import FLOOR_COLOUR, INK, PALETTE, STYLE, inline_svg, tick_decades
from evaluation.simulation.page.scrub import FrameErrors

_DECADES_FROM = 30.0  # largest error over the smallest from which the axis is logarithmic


def draw_errors(errors: FrameErrors) -> tuple[str, tuple[float, ...]]:
    """Both curves, and the place of every frame as a share of the drawing's width.

    Args:
        errors: of at least one known frame; what is not finite is left out.
    """
    frames = np.arange(1, len(errors.model) + 1)
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "errors of frames"}):
        figure = Figure(figsize=(5.2, 2.6), layout="constrained")
        axes = figure.add_subplot()
        rows = (
            ("persistence", errors.persistence, FLOOR_COLOUR, "--"),
            ("model", errors.model, PALETTE[0], "-"),
        )
        for label, values, colour, dashes in rows:
            values = np.where(np.isfinite(values), values, np.nan)
            marker = "o" if len(frames) == 1 else ""
            axes.plot(frames, values, dashes, color=colour, label=label, marker=marker)
        _limit(errors, axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("predicted frame")
        axes.set_ylabel("L2RE, all channels")
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        axes.legend(frameon=False)
        text = inline_svg(figure, "L2RE of every predicted frame, of the model and persistence")
        box, (left, right) = axes.get_position(), axes.get_xlim()
    places = box.x0 + box.width * (frames - left) / (right - left)
    return text, tuple(places.tolist())


def _limit(errors: FrameErrors, axes: matplotlib.axes.Axes) -> None:
    values = np.concatenate([errors.model, errors.persistence])
    values = values[np.isfinite(values) & (values > 0)]
    if values.size and values.max() > _DECADES_FROM * values.min():
        axes.set_yscale("log")
        tick_decades(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
