"""Pictures of a forecast beside what it continues: a contact sheet and an animation.

Axes: T frames, C channels, H rows (y, upwards), W columns (x). Colours are those of the given
frames, so that a forecast that leaves their range is seen to leave it.
"""

import io
from collections.abc import Iterator

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from data_shards.card import Channel
from data_shards.pictures.sheet import draw_plane, panel_size
from data_shards.pictures.view import Scale, View, label, scale_of
from data_shards.simulation_file import Simulation

_GIVEN, _FORECAST = "0.35", "#b03000"
_COLUMNS = 3  # of the sheet, on either side
_MOST_FRAMES = 60
_MOST_ASPECT = 8.0
_DURATION_MS = 5000


def draw_sheet(given: Simulation, future: Simulation) -> bytes:
    """Rows are channels, columns are frames: the last given ones, then the forecast; PNG."""
    view, first = _view(given, future, len(given.fields))
    before = _chosen(max(0, first - 2 * _COLUMNS), first - 1, 2)
    frames = before + _chosen(first, len(view.frames) - 1, 2 * _COLUMNS - len(before) + 1)
    channels = len(view.channels)
    width, height = panel_size(view)
    size = (width * len(frames) + 1.4, height * channels + 0.9)
    figure = Figure(size, layout="constrained")
    grid = figure.subplots(channels, len(frames), squeeze=False)
    for channel, row in enumerate(grid):
        for axes, frame in zip(row, frames, strict=True):
            image = draw_plane(axes, view, frame, channel)
            if channel == 0:
                word, colour = _word(frame, first)
                axes.set_title(f"{word}\nt = {view.times[frame]:.4g}", fontsize=8, color=colour)
        row[0].set_ylabel(label(view.channels[channel]), fontsize=9)
        bar = figure.colorbar(
            image, ax=list(row), extend=view.scales[channel].extend, fraction=0.05, pad=0.01
        )
        bar.ax.tick_params(labelsize=7)
    figure.suptitle(view.title, fontsize=9)
    return _saved(figure)


def animate(given: Simulation, future: Simulation, context_frames: int) -> bytes:
    """All channels over time, from the frames that the model saw into the forecast; GIF."""
    view, first = _view(given, future, context_frames)
    pictures = [
        picture.quantize(method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        for picture in _pictures(view, first)
    ]
    file = io.BytesIO()
    pictures[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=max(40, _DURATION_MS // len(pictures)),
        loop=0,
    )
    return file.getvalue()


def _pictures(view: View, first: int) -> Iterator[Image.Image]:
    channels = len(view.channels)
    width, height = panel_size(view)
    columns = channels if view.aspect < 2 else 1
    rows = -(-channels // columns)
    size = ((1.3 * width + 0.8) * columns, (1.3 * height + 0.35) * rows + 0.5)
    figure = Figure(size, dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    images = []
    for channel, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        images.append(draw_plane(axes, view, 0, channel))
        axes.set_title(label(view.channels[channel]), fontsize=9)
        bar = figure.colorbar(images[-1], ax=axes, extend=view.scales[channel].extend, shrink=0.8)
        bar.ax.tick_params(labelsize=7)
    title = figure.suptitle("forecast, t = 0", fontsize=10)
    for frame in _chosen(0, len(view.frames) - 1, _MOST_FRAMES):
        word, colour = _word(frame, first)
        title.set_text(f"{word}, t = {view.times[frame]:.4g}")
        title.set_color(colour)
        for channel, image in enumerate(images):
            image.set_data(view.frames[frame, channel])
        canvas.draw()
        figure.set_layout_engine("none")  # what was laid out once must not tremble
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _view(given: Simulation, future: Simulation, last: int) -> tuple[View, int]:
    """The last given frames and the forecast, and the number of its first frame."""
    fields = np.concatenate([given.fields[-last:], future.fields])
    if given.mask is not None:
        fields = np.where(given.mask > 0.5, fields, np.float32(np.nan))
    first = len(fields) - len(future.fields)
    x_min, x_max, y_min, y_max = given.extent
    aspect = (x_max - x_min) / (y_max - y_min)
    if not 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT:  # x and y are in different units
        x_min, x_max, y_min, y_max = 0.0, float(given.grid[1]), 0.0, float(given.grid[0])
    words = given.layout.attributes
    units = [each.get("units", "1") for each in words] if words else []
    if len(units) != len(given.channels):
        units = ["1"] * len(given.channels)
    view = View(
        frames=fields,
        times=np.concatenate([given.times.values[-last:], future.times.values]),
        extent=(x_min, x_max, y_min, y_max),
        channels=tuple(
            Channel(name=name, unit=unit) for name, unit in zip(given.channels, units, strict=True)
        ),
        scales=tuple(_scale(fields[:, c], first) for c in range(fields.shape[1])),
        title=f"{given.source.name}: given frames and forecast",
    )
    return view, first


def _scale(values: np.ndarray, first: int) -> Scale:
    """Colours of the given frames; the ends say that the forecast goes beyond."""
    scale = scale_of(values[:first])
    known = values[np.isfinite(values)]
    below, above = (bool((known < scale.low).any()), bool((known > scale.high).any()))
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    return Scale(scale.low, scale.high, scale.colours, extend)  # type: ignore[arg-type]


def _word(frame: int, first: int) -> tuple[str, str]:
    return ("forecast", _FORECAST) if frame >= first else ("given", _GIVEN)


def _chosen(first: int, last: int, count: int) -> list[int]:
    """At most `count` of the numbers from first to last, both of them among these."""
    return sorted({round(n) for n in np.linspace(first, last, min(count, last - first + 1))})


def _saved(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=110, format="png")
    return file.getvalue()
