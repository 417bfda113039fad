"""A contact sheet: rows are channels, columns are frames; one PNG out.

Every channel has one colour scale for all of its frames, with a colour bar.
A corpus of one dimension is drawn as space over time, one panel per channel; of
a steady state the channels stand side by side.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from data_shards.atomic import replace_file
from data_shards.card import CorpusCard
from data_shards.pictures.view import SOLID, Caption, Scale, View, label, view_of
from data_shards.trajectory import Trajectory

_PANEL_AREA = 2.6  # square inches
_DPI = 110
_BELOW, _LEAST_WIDTH = 2.4, 5.5  # inches, of what is drawn under the frames


def draw_sheet(trajectory: Trajectory, card: CorpusCard, path: Path) -> None:
    """Draw a trajectory as a PNG.

    Args:
        trajectory: what to draw.
        card: of its corpus.
        path: file to write.
    """
    view = view_of(trajectory, card)
    if view.is_line:
        sheet = _entitled(_lines_sheet(view), view)
    elif len(view.frames) == 1:
        sheet = steady_sheet(view)
    else:
        frames = view.chosen(6 if view.aspect < 1.6 else 4)
        sheet = planes_sheet(
            view, {frame: Caption(f"t - t0 = {view.times[frame]:.4g}") for frame in frames}
        )
    replace_file(path, sheet)


def planes_sheet(
    view: View, captions: Mapping[int, Caption], below: Callable[[Axes], None] | None = None
) -> bytes:
    """Rows are channels, columns are frames; PNG.

    Args:
        view: what is drawn.
        captions: by the numbers of the frames that are shown.
        below: draws something under the frames, if there is anything to draw.
    """
    channels = len(view.channels)
    width, height = panel_size(view)
    across, down = width * len(captions) + 1.2, height * channels + 0.8
    if below is None:
        figure = Figure((across, down), layout="constrained")
        frames: Figure | SubFigure = figure
    else:
        figure = Figure((max(across, _LEAST_WIDTH), down + _BELOW), layout="constrained")
        rows = figure.add_gridspec(2, 1, height_ratios=(down, _BELOW))
        frames = figure.add_subfigure(rows[0])
        below(figure.add_subfigure(rows[1]).subplots())
    grid = frames.subplots(channels, len(captions), squeeze=False)
    for channel in range(channels):
        row = list(grid[channel])
        for axes, (frame, caption) in zip(row, captions.items(), strict=True):
            image = draw_plane(axes, view, frame, channel)
            if channel == 0:
                axes.set_title(caption.text, fontsize=8, color=caption.colour)
        row[0].set_ylabel(label(view.channels[channel]), fontsize=9)
        _colour_bar(frames, image, view, channel, row)
    return _entitled(figure, view)


def draw_plane(axes: Axes, view: View, frame: int, channel: int) -> AxesImage:
    """One frame of one channel in its colours, without ticks."""
    return draw_values(axes, view.frames[frame, channel], view.extent, view.scales[channel])


def draw_values(
    axes: Axes,
    values: NDArray[np.floating],
    extent: tuple[float, float, float, float],
    scale: Scale,
) -> AxesImage:
    """Values (rows, columns) in the colours of a scale, without ticks."""
    image = axes.imshow(
        values,
        origin="lower",
        extent=extent,
        cmap=matplotlib.colormaps[scale.colours].with_extremes(bad=SOLID),
        vmin=scale.low,
        vmax=scale.high,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    return image


def panel_size(view: View) -> tuple[float, float]:
    """Width and height in inches of one panel, of the same area whatever its shape."""
    aspect = min(max(view.aspect, 0.25), 4.0)
    height = (_PANEL_AREA / aspect) ** 0.5
    return height * aspect, height


def _entitled(figure: Figure, view: View) -> bytes:
    """The figure with the view's title, as it fits above it; PNG."""
    letters = round(13 * figure.get_figwidth())
    title = "\n".join(fill(line, letters) for line in view.title.split("\n"))
    figure.suptitle(title, fontsize=9)
    file = io.BytesIO()
    figure.savefig(file, dpi=_DPI, format="png")
    return file.getvalue()


def steady_sheet(view: View) -> bytes:
    """The channels of a single frame side by side; PNG."""
    channels = len(view.channels)
    width, height = panel_size(view)
    size = (max(5.0, (2 * width + 1) * channels), 2 * height + 0.9)
    figure = Figure(size, layout="constrained")
    for channel, axes in enumerate(figure.subplots(1, channels, squeeze=False)[0]):
        image = draw_plane(axes, view, 0, channel)
        _colour_bar(figure, image, view, channel, [axes])
    return _entitled(figure, view)


def _lines_sheet(view: View) -> Figure:
    channels = len(view.channels)
    figure = Figure((6.5, 3.2 * channels + 0.6), layout="constrained")
    x_min, x_max = view.extent[:2]
    half = 0.5 * float(view.times[1] - view.times[0]) if len(view.times) > 1 else 0.5
    for channel, axes in enumerate(figure.subplots(channels, 1, squeeze=False)[:, 0]):
        scale = view.scales[channel]
        image = axes.imshow(
            view.frames[:, channel, 0],
            origin="lower",
            extent=(x_min, x_max, -half, float(view.times[-1]) + half),
            cmap=matplotlib.colormaps[scale.colours].with_extremes(bad=SOLID),
            vmin=scale.low,
            vmax=scale.high,
            aspect="auto",
            interpolation="nearest",
        )
        axes.set_xlabel("x", fontsize=9)
        axes.set_ylabel("t - t0", fontsize=9)
        axes.tick_params(labelsize=8)
        _colour_bar(figure, image, view, channel, [axes])
        axes.set_title(label(view.channels[channel]), fontsize=9)
    return figure


def _colour_bar(
    figure: Figure | SubFigure, image: AxesImage, view: View, channel: int, row: list[Axes]
) -> None:
    bar = figure.colorbar(
        image, ax=row, extend=view.scales[channel].extend, fraction=0.05, pad=0.01, shrink=0.9
    )
    bar.ax.tick_params(labelsize=7)
    bar.set_label(label(view.channels[channel]), fontsize=8)
