"""A film of fields: a picture in, a strip of frames that can be stepped through out.

Truth, prediction and error stand side by side in a strip, of which a window shows one frame;
without a script that is the last. Axes: F frames, H rows, W columns.
"""

from html import escape

import numpy as np
from numpy.typing import NDArray

from data_shards.pictures.strip import draw_strip, gradient
from data_shards.pictures.view import Scale
from evaluation.records.samples import Picture
from evaluation.records.table import number

_STOPS = 9  # of a bar of colours
_FLAT = 4  # least height of a panel, as a part of its width: one row of cells is a line


def draw_film(picture: Picture, channel: int, title: str, most_cells: int = 128) -> str:
    """Truth, prediction and error of a channel, frame by frame.

    Args:
        picture: frames of one sample.
        channel: which scored channel.
        title: for readers of the film's description.
        most_cells: per side; of finer fields every n-th cell is shown.

    Returns:
        HTML, without a name that could be used twice.
    """
    truth = _shown(picture.truth[:, channel], picture.fluid, most_cells)
    prediction = _shown(picture.prediction[:, channel], picture.fluid, most_cells)
    error = prediction - truth
    low, high = _range(truth)
    reach = float(np.nanmax(np.abs(error), initial=0.0)) or 1.0
    fields = Scale(low, high, "viridis", "neither")
    errors = Scale(-reach, reach, "RdBu_r", "neither")
    panels = [(truth, fields), (prediction, fields), (error, errors)]
    strip = draw_strip(panels, optimize=True)
    frames, (columns, rows) = strip.frames, strip.size
    described = escape(f"Truth, prediction and error on {title}")
    numbers = " ".join(map(str, picture.frames))
    return (
        f'<div class="film" style="--frames:{frames};--at:{frames - 1}" data-frames="{numbers}">'
        '<div class="panels"><span>truth</span><span>prediction</span><span>error</span></div>'
        f'<div class="window" style="aspect-ratio:{columns}/{rows}">'
        f'<img alt="{described}" src="{strip.address}"></div>'
        '<div class="controls"><button type="button" hidden>Play</button>'
        f'<input type="range" min="0" max="{frames - 1}" value="{frames - 1}" step="1" hidden '
        f'aria-label="Predicted frame"><output>frame {picture.frames[-1]}</output></div>'
        f'<div class="scales">{_scale(fields)}{_scale(errors)}</div>'
        "</div>"
    )


def _shown(
    fields_FHW: NDArray[np.float32], fluid: NDArray[np.float32], most_cells: int
) -> NDArray[np.float32]:
    """No more cells than asked for; NaN in solids and where a value is not finite."""
    clear = np.float32(np.nan)
    fields_FHW = np.where((fluid > 0) & np.isfinite(fields_FHW), fields_FHW, clear)
    step = -(-max(fields_FHW.shape[1:]) // most_cells)
    fields_FHW = fields_FHW[:, ::step, ::step]
    _, rows, columns = fields_FHW.shape
    return fields_FHW.repeat(max(1, columns // (_FLAT * rows)), axis=1)


def _range(truth: NDArray[np.float32]) -> tuple[float, float]:
    finite = truth[np.isfinite(truth)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _scale(scale: Scale) -> str:
    """A bar of colours between the numbers it stands for."""
    bar = f'<i style="background:{gradient(scale, _STOPS)}"></i>'
    low, high = number(scale.low), number(scale.high)
    return f'<span class="scale"><span>{low}</span>{bar}<span>{high}</span></span>'
