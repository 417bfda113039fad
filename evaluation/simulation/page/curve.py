"""Error against frame ahead: errors in, an inline drawing out, and where a cursor goes on it."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from evaluation.plots import FLOOR_COLOUR, PALETTE, STYLE, inline_svg
from evaluation.simulation.error_curve import draw_known_errors, finish
from evaluation.simulation.known_frames import KnownErrors
from evaluation.simulation.page.scrub import FrameErrors


def draw_errors(
    shown: FrameErrors, known: KnownErrors | None, frames: int
) -> tuple[str, tuple[float, ...]]:
    """The curves, and the place of every frame as a share of the drawing's width.

    Args:
        shown: of the forecast that is shown, none if nothing is known of what follows.
        known: of forecasts from several frames.
        frames: that are predicted.
    """
    numbers = np.arange(1, frames + 1)
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "errors of frames"}):
        figure = Figure(figsize=(5.2, 2.6), layout="constrained")
        axes = figure.add_subplot()
        rows = (
            ("persistence, from here", shown.persistence, FLOOR_COLOUR, "--"),
            ("model, from here", shown.model, PALETTE[1], "-"),
        )
        for label, values, colour, dashes in rows:
            if len(values):
                marker = "o" if len(values) == 1 else ""
                axes.plot(
                    numbers[: len(values)],
                    np.where(np.isfinite(values), values, np.nan),
                    dashes, color=colour, label=label, marker=marker,
                )  # fmt: skip
        if known is not None:
            draw_known_errors(axes, known, frames)
        finish(axes, frames)
        text = inline_svg(figure, "L2RE of every predicted frame, of the model and persistence")
        box, (left, right) = axes.get_position(), axes.get_xlim()
    places = box.x0 + box.width * (numbers - left) / (right - left)
    return text, tuple(places.tolist())
