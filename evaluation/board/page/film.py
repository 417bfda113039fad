"""A film of fields: a picture in, a strip of frames that can be stepped through out.

All frames stand one above the other in one PNG of 256 colours, of which a window shows
one; without a script that is the last. Rows of the strip: F frames of H rows; columns:
truth, prediction and error, W each, with clear gaps between.
"""

import base64
import io
from html import escape

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.records.samples import Picture
from evaluation.records.table import number

_FIELDS, _ERRORS = "viridis", "RdBu_r"
_SHADES = 127  # of each of the two maps
_CLEAR = 255
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
    panels = [
        _indices(truth, low, high, first=0),
        _indices(prediction, low, high, first=0),
        _indices(error, -reach, reach, first=_SHADES),
    ]
    gap = max(1, panels[0].shape[2] // 24)
    clear = np.full((*panels[0].shape[:2], gap), _CLEAR, np.uint8)
    strip_FHW = np.concatenate([panels[0], clear, panels[1], clear, panels[2]], axis=2)
    frames, rows, columns = strip_FHW.shape
    image = base64.b64encode(_png(strip_FHW.reshape(frames * rows, columns))).decode()
    described = escape(f"Truth, prediction and error on {title}")
    numbers = " ".join(map(str, picture.frames))
    return (
        f'<div class="film" style="--frames:{frames};--at:{frames - 1}" data-frames="{numbers}">'
        '<div class="panels"><span>truth</span><span>prediction</span><span>error</span></div>'
        f'<div class="window" style="aspect-ratio:{columns}/{rows}">'
        f'<img alt="{described}" src="data:image/png;base64,{image}"></div>'
        '<div class="controls"><button type="button" hidden>Play</button>'
        f'<input type="range" min="0" max="{frames - 1}" value="{frames - 1}" step="1" hidden '
        f'aria-label="Predicted frame"><output>frame {picture.frames[-1]}</output></div>'
        f'<div class="scales">{_scale(_FIELDS, low, high)}{_scale(_ERRORS, -reach, reach)}</div>'
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


def _indices(
    fields_FHW: NDArray[np.float32], low: float, high: float, *, first: int
) -> NDArray[np.uint8]:
    """Numbers of colours, upper rows of the plane first."""
    share = np.clip((fields_FHW.astype(np.float64) - low) / (high - low), 0.0, 1.0)
    known = np.isfinite(share)
    colours = first + np.where(known, share, 0.0) * (_SHADES - 1)
    indices: NDArray[np.uint8] = np.where(known, colours.round(), _CLEAR).astype(np.uint8)
    return indices[:, ::-1]


def _colours(name: str, count: int) -> NDArray[np.uint8]:
    colours: NDArray[np.float64] = matplotlib.colormaps[name](np.linspace(0, 1, count))
    return (colours[:, :3] * 255).round().astype(np.uint8)


def _png(indices_HW: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(indices_HW).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    palette = np.zeros((256, 3), np.uint8)
    palette[:_SHADES], palette[_SHADES : 2 * _SHADES] = (
        _colours(name, _SHADES) for name in (_FIELDS, _ERRORS)
    )
    image.putpalette(palette.ravel().tolist())
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True, transparency=_CLEAR)
    return file.getvalue()


def _scale(name: str, low: float, high: float) -> str:
    """A bar of colours between the numbers it stands for."""
    stops = ",".join("#" + bytes(colour).hex() for colour in _colours(name, 9))
    bar = f'<i style="background:linear-gradient(90deg,{stops})"></i>'
    return f'<span class="scale"><span>{number(low)}</span>{bar}<span>{number(high)}</span></span>'
