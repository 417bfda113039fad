"""Drawings for the page: curves and fields in, inline SVG out.

Everything is drawn transparent, with the ink of the page around it, so one
drawing serves a light and a dark page.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from evaluation.samples import Picture

INK = "#0f1e2d"  # replaced by the text colour of the page
# Okabe and Ito's palette without black and yellow: distinct for colour-blind readers.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
FLOOR_COLOUR = "#8a8a8a"
_FLOOR_DASHES = ("--", ":")
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
}


@dataclass(frozen=True)
class Curve:
    """Error against predicted frame of one row.

    Attributes:
        colour: of its line.
        dashes: matplotlib line style.
        errors: L2RE of every predicted frame.
    """

    colour: str
    dashes: str
    errors: tuple[float, ...]


def line_style(position: int, floor: bool) -> tuple[str, str]:
    """Colour and dashes of the n-th model or the n-th floor, the same in every drawing."""
    if floor:
        return FLOOR_COLOUR, _FLOOR_DASHES[position % 2]
    return PALETTE[position % len(PALETTE)], ("-", "-.")[position // len(PALETTE) % 2]


def draw_curves(curves: Sequence[Curve], title: str) -> str:
    """Error against predicted frame, logarithmic where the errors span decades.

    Args:
        curves: one per row; frames that are not finite are left out.
        title: for readers of the drawing's description.
    """
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"curves {title}"}):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            errors = np.array(curve.errors)
            errors[~np.isfinite(errors)] = np.nan
            frames = np.arange(1, len(errors) + 1)
            axes.plot(frames, errors, curve.dashes, color=curve.colour, linewidth=1.6)
        if _spans_decades(curves):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("predicted frame")
        axes.set_ylabel("L2RE of the frame")
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        return inline_svg(figure, f"L2RE against predicted frame on {title}")


def _spans_decades(curves: Sequence[Curve]) -> bool:
    errors = np.array([error for curve in curves for error in curve.errors])
    errors = errors[np.isfinite(errors)]
    return bool(len(errors) and errors.min() > 0 and errors.max() > 8 * errors.min())


def draw_fields(picture: Picture, channel: int, title: str) -> str:
    """Truth, prediction and error at a few frames, one row each.

    Args:
        picture: frames of one sample.
        channel: which scored channel.
        title: for readers of the drawing's description.
    """
    truth = _fluid_only(picture.truth[:, channel], picture.fluid)
    prediction = _fluid_only(picture.prediction[:, channel], picture.fluid)
    error = prediction - truth
    low, high = _range(truth)
    reach = float(np.nanmax(np.abs(error), initial=0.0)) or 1.0
    rows = [
        ("truth", truth, "viridis", low, high),
        ("prediction", prediction, "viridis", low, high),
        ("error", error, "RdBu_r", -reach, reach),
    ]
    columns = len(picture.frames)
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"fields {title}"}):
        figure = Figure(figsize=(1.25 * columns + 0.9, 3.9), layout="constrained")
        grid = figure.subplots(3, columns, squeeze=False)
        for axes_row, (name, fields, colours, bottom, top) in zip(grid, rows, strict=True):
            for axes, field in zip(axes_row, fields, strict=True):
                image = axes.imshow(field, cmap=colours, vmin=bottom, vmax=top, origin="lower")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
            axes_row[0].set_ylabel(name)
            bar = figure.colorbar(image, ax=list(axes_row), shrink=0.8, aspect=12, pad=0.02)
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=7, length=2, width=0.5)
        for axes, frame in zip(grid[0], picture.frames, strict=True):
            axes.set_title(f"frame {frame}", fontsize=8)
        return inline_svg(figure, f"Truth, prediction and error on {title}")


def _fluid_only(fields: NDArray[np.float32], fluid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Solid cells and values that are not finite become NaN, which is drawn as nothing."""
    return np.where((fluid > 0) & np.isfinite(fields), fields, np.float32(np.nan))


def _range(truth: NDArray[np.float32]) -> tuple[float, float]:
    low, high = float(np.nanmin(truth)), float(np.nanmax(truth))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def inline_svg(figure: Figure, description: str) -> str:
    """The drawing as an element for a page: no header, no fixed size, the page's ink and font."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # the same in every drawing, so not for one page
    text = re.sub(r"font-family: [^;\"]*;", "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
    return text.replace(INK, "currentColor")


_INK, _STYLE, _svg = INK, STYLE, inline_svg  # former names
