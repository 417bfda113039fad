"""A film of fields: a picture in, a strip of frames that can be stepped through out.

Truth, prediction and error stand side by side in a strip, of which a window shows one frame;
without a script that is the last. Axes: F frames, H rows, W columns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_shards.pictures.strip import Strip, draw_strip, gradient
from data_shards.pictures.view import Scale
from evaluation.records.samples import Picture
from evaluation.records.table import number

_STOPS = 9  # of a bar of colours
_FLAT = 4  # least height of a panel, as a part of its width: one row of cells is a line


@dataclass(frozen=True)
class Bar:
    """A bar of colours between the numbers it stands for."""

    low: str
    gradient: str
    high: str


@dataclass(frozen=True)
class Film:
    """Truth, prediction and error of a channel, frame by frame.

    Attributes:
        title: what of, for readers of the film's description.
        numbers: of the predicted frames.
        strip: all of them.
        scales: of the fields and of the error.
    """

    title: str
    numbers: tuple[int, ...]
    strip: Strip
    scales: tuple[Bar, Bar]


def draw_film(picture: Picture, channel: int, title: str, most_cells: int = 128) -> Film:
    """Draw a channel of a sample.

    Args:
        picture: frames of one sample.
        channel: which scored channel.
        title: what the film is of.
        most_cells: per side; of finer fields every n-th cell is shown.
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
    return Film(title, tuple(picture.frames.tolist()), strip, (_bar(fields), _bar(errors)))


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


def _bar(scale: Scale) -> Bar:
    return Bar(number(scale.low), gradient(scale, _STOPS), number(scale.high))
