"""Where an equation of evolution is not fulfilled: a picture in, a map with the boxes drawn out.

Axes: T predicted frames, W cells of a line; of a plane (H, W) the frame that leaves most is shown.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from evaluation.plots import INK, STYLE, inline_svg
from evaluation.records.samples import Picture

_DECADES = 3  # below the largest value, shown


def draw_residual(picture: Picture, title: str) -> Markup:
    """The size of the residual over the domain, logarithmic; boxes of a mixture as lines.

    Args:
        picture: with a residual.
        title: for readers of the drawing's description.
    """
    assert picture.residual is not None
    size_THW, splits = np.abs(picture.residual), _splits(picture)
    is_line = size_THW.shape[1] == 1
    if is_line:
        size, rows, label = size_THW[:, 0], splits[0], "predicted frame"
    else:
        worst = int(np.square(size_THW).mean((1, 2)).argmax())
        size, rows, label = size_THW[worst], splits[1], f"y, predicted frame {worst + 1}"
    tiny = float(np.finfo(np.float32).tiny)
    largest = max(float(np.nan_to_num(size, posinf=0.0).max()), tiny)
    shown = np.log10(np.clip(size, largest * 10.0**-_DECADES, largest))
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"residual {title}"}):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        # Frames from the given one on, so that faces lie where the boxes were split.
        bottom = 1.0 if is_line else 0.0
        extent = (0.0, size.shape[1], bottom, bottom + size.shape[0])
        image = axes.imshow(shown, origin="lower", aspect="auto", extent=extent, cmap="magma")
        axes.vlines(_faces(size.shape[1], splits[-1]), *extent[2:], color="white", linewidth=0.8)
        along = size.shape[0] + (1 if is_line else 0)
        axes.hlines(_faces(along, rows), *extent[:2], color="white", linewidth=0.8)
        axes.set_xlabel("x, cells")
        axes.set_ylabel(label)
        bar = figure.colorbar(image, ax=axes)
        bar.set_label("log10 of the residual", color=INK)
        return inline_svg(figure, f"residual over the domain on {title}")


def _splits(picture: Picture) -> Sequence[int]:
    """Boxes along time and each axis; one of all without a mixture."""
    if picture.boxes is None or not len(picture.boxes):
        return (1, 1, 1)
    return [int(number) for number in picture.boxes]


def _faces(cells: int, count: int) -> list[int]:
    return [number * cells // count for number in range(1, count)]
