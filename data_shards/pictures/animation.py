"""An animation: all channels side by side over time; one small GIF out.

A corpus of one dimension is drawn as curves. Frames are left out until the
file is small enough for a web page.
"""

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from data_shards.atomic import replace_file
from data_shards.card import CorpusCard
from data_shards.pictures.sheet import draw_plane, panel_size
from data_shards.pictures.view import Caption, View, label, view_of
from data_shards.trajectory import Trajectory

MAX_BYTES = 2_000_000
_MOST_FRAMES = 60
_DURATION_MS = 5000  # of one run through
_GREYS = 26
_FADING = np.linspace(0, 1, 8)  # of a coloured ink into the white around it
_DPI = 90

Picture = Image.Image


def animate(
    trajectory: Trajectory, card: CorpusCard, path: Path, max_bytes: int = MAX_BYTES
) -> None:
    """Draw a trajectory as a GIF.

    Args:
        trajectory: what to draw.
        card: of its corpus.
        path: file to write.
        max_bytes: frames are left out until the file is smaller, down to two.
    """
    view = view_of(trajectory, card)
    head = view.title.split("\n")[0]
    digits = len(f"{view.times[-1]:.4g}")
    captions = [Caption(f"{head}\nt - t0 = {time:<{digits}.4g}") for time in view.times]
    replace_file(path, animation(view, captions, max_bytes))


def animation(view: View, captions: Sequence[Caption], max_bytes: int = MAX_BYTES) -> bytes:
    """All channels over time; GIF.

    Args:
        view: what is drawn.
        captions: of every frame; its lines are broken where there is no room for them.
        max_bytes: frames are left out until the file is smaller, down to two.
    """
    figure, update = _lines(view) if view.is_line else _planes(view)
    pictures = list(_rendered(figure, update, captions, view.chosen(_MOST_FRAMES)))
    every = 1
    palette = _palette(view, {caption.colour for caption in captions})
    while (
        len(gif := _encoded(pictures[::every], palette)) > max_bytes and len(pictures) > 2 * every
    ):
        every += 1
    return gif


def _rendered(
    figure: Figure,
    update: Callable[[int], None],
    captions: Sequence[Caption],
    numbers: Sequence[int],
) -> Iterator[Picture]:
    canvas = FigureCanvasAgg(figure)
    letters = max(24, round(12 * figure.get_figwidth()))
    title = figure.suptitle("", fontsize=9)
    for number in numbers:
        update(number)
        lines = captions[number].text.split("\n")
        title.set_text("\n".join(fill(n, letters) if len(n) > letters else n for n in lines))
        title.set_color(captions[number].colour)
        canvas.draw()
        figure.set_layout_engine("none")  # what was laid out once must not tremble
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _palette(view: View, inks: Collection[str]) -> Picture:
    """The colours of the view's scales, greys and inks for the letters, at most 256 in all."""
    maps = sorted({scale.colours for scale in view.scales})
    letters = [matplotlib.colormaps["gray"](np.linspace(0, 1, _GREYS))]
    for ink in sorted(ink for ink in inks if len(set(to_rgb(ink))) > 1):  # else a grey
        letters.append(LinearSegmentedColormap.from_list("", [ink, "white"])(_FADING))
    each = (256 - sum(map(len, letters))) // len(maps)
    colours = [matplotlib.colormaps[name](np.linspace(0, 1, each)) for name in maps]
    bytes_of = np.concatenate([*letters, *colours])[:, :3] * 255
    picture = Image.new("P", (1, 1))
    picture.putpalette([int(value) for value in bytes_of.round().ravel()])
    return picture


def _encoded(pictures: list[Picture], palette: Picture) -> bytes:
    # One palette for all frames, so that the unchanged parts of a frame cost nothing.
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    file = io.BytesIO()
    flat[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=flat[1:],
        duration=max(20, _DURATION_MS // len(flat)),
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def _planes(view: View) -> tuple[Figure, Callable[[int], None]]:
    channels = len(view.channels)
    width, height = panel_size(view)
    columns = channels if view.aspect < 1.6 else 1
    rows = -(-channels // columns)
    figure = Figure(((1.3 * width + 0.7) * columns, (1.3 * height + 0.3) * rows + 0.5))
    figure.set_dpi(_DPI)
    figure.set_layout_engine("constrained")
    images = []
    for channel, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        image = draw_plane(axes, view, 0, channel)
        axes.set_title(label(view.channels[channel]), fontsize=9)
        bar = figure.colorbar(image, ax=axes, extend=view.scales[channel].extend, shrink=0.8)
        bar.ax.tick_params(labelsize=7)
        images.append(image)

    def update(frame: int) -> None:
        for channel, image in enumerate(images):
            image.set_data(view.frames[frame, channel])

    return figure, update


def _lines(view: View) -> tuple[Figure, Callable[[int], None]]:
    channels = len(view.channels)
    figure = Figure((5.0, 2.2 * channels + 0.5))
    figure.set_dpi(_DPI)
    figure.set_layout_engine("constrained")
    cells = view.frames.shape[-1]
    x_min, x_max = view.extent[:2]
    centres = x_min + (np.arange(cells) + 0.5) * (x_max - x_min) / cells
    curves = []
    for channel, axes in enumerate(figure.subplots(channels, 1, squeeze=False)[:, 0]):
        values = view.frames[:, channel, 0]
        (curve,) = axes.plot(centres, values[0], linewidth=1.2)
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        margin = 0.05 * (high - low) or 1.0
        axes.set_xlim(x_min, x_max)
        axes.set_ylim(low - margin, high + margin)
        axes.set_ylabel(label(view.channels[channel]), fontsize=9)
        axes.tick_params(labelsize=8)
        curves.append(curve)

    def update(frame: int) -> None:
        for channel, curve in enumerate(curves):
            curve.set_ydata(view.frames[frame, channel, 0])

    return figure, update
