"""Drawings for the page: curves in, inline SVG out; and the manner of all drawings.

Everything is drawn transparent, with the ink of the page around it, so one
drawing serves a light and a dark page.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

INK = "#0f1e2d"  # replaced by the text colour of the page
# Okabe and Ito's palette without black and yellow, then the rest of Tol's muted one: distinct for
# colour-blind readers.
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"),
    *("#332288", "#882255", "#999933", "#44aa99"),
)
_DASHES = ("-", "--", "-.", ":")  # of the seeds of a model
MOST_LINES = 12  # of a drawing, above which seeds of a model are drawn together
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
        ends: least and largest error of every frame, where the line is a mean over seeds.
    """

    colour: str
    dashes: str
    errors: tuple[float, ...]
    ends: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def line_style(position: int, floor: bool, seed: int = 0) -> tuple[str, str]:
    """Colour of the n-th model or floor and dashes of its n-th seed, the same in every drawing."""
    if floor:
        return FLOOR_COLOUR, _FLOOR_DASHES[position % 2]
    return PALETTE[position % len(PALETTE)], _DASHES[seed % len(_DASHES)]


def readable(curves: Sequence[Curve]) -> list[Curve]:
    """Of more lines than can be told apart, those of a colour (the seeds of a model) as one: their
    mean, and between which ends they lie."""
    if len(curves) <= MOST_LINES:
        return list(curves)
    alike: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        dashes = curve.dashes if curve.colour == FLOOR_COLOUR else _DASHES[0]
        alike.setdefault((curve.colour, dashes), []).append(curve)
    return [_together(*style, own) for style, own in alike.items()]


def _together(colour: str, dashes: str, curves: Sequence[Curve]) -> Curve:
    if len(curves) == 1:
        return Curve(colour, dashes, curves[0].errors)
    errors = np.array([curve.errors for curve in curves])
    low, mean, high = (tuple(of(errors, axis=0).tolist()) for of in (np.min, np.mean, np.max))
    return Curve(colour, dashes, mean, (low, high))


def draw_curves(curves: Sequence[Curve], title: str) -> Markup:
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
            if curve.ends is not None:
                low, high = (np.where(np.isfinite(end), end, np.nan) for end in curve.ends)
                axes.fill_between(frames, low, high, color=curve.colour, alpha=0.18, linewidth=0)
        if _spans_decades(curves):
            axes.set_yscale("log")
            tick_decades(axes.yaxis)
        else:
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("predicted frame")
        axes.set_ylabel("L2RE of the frame")
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        return inline_svg(figure, f"L2RE against predicted frame on {title}")


def tick_decades(axis: Axis, written: Callable[[float], str] = "{:g}".format) -> None:
    """Ticks of a logarithmic axis as people write such numbers, as many as there is room for.

    Args:
        axis: with everything on it drawn.
        written: a number as text.
    """
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades < 1.7 else (1.0, 3.0) if decades < 3 else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))
    axis.set_minor_formatter(NullFormatter())


def _spans_decades(curves: Sequence[Curve]) -> bool:
    errors = np.array([error for curve in curves for error in curve.errors])
    errors = errors[np.isfinite(errors)]
    return bool(len(errors) and errors.min() > 0 and errors.max() > 8 * errors.min())


def inline_svg(figure: Figure, description: str) -> Markup:
    """The drawing as an element for a page: no header, no fixed size, the page's ink and font.

    It is markup, which templates take as it is: whatever names are written in it, matplotlib has
    escaped, and the description is escaped here.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # the same in every drawing, so not for one page
    text = re.sub(r"font-family: [^;\"]*;", "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r' (?:d|x|y)="[^"]*"', _shortened, text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = re.sub(r">\s+<", "><", text)
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
    return Markup(text.replace(INK, "currentColor"))


def _shortened(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point and without line ends: half a drawing is these."""
    return " " + re.sub(r"(\d\.\d\d)\d+", r"\1", " ".join(attribute[0].split()))
