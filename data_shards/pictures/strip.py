"""Strips for web pages: fields over time in, one small picture out, of which a page shows a frame.

All frames stand one above the other in one PNG of 256 colours, panels side by side with clear
gaps between. What is no number (solid cells, a diverged forecast) is clear.
Axes: F frames, H rows (y, upwards), W columns (x).
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_shards.pictures.view import Scale

_CLEAR = 255
_SHADES = 254  # of all colour maps together
_GAP = 24  # a gap is this part of a panel's width


@dataclass(frozen=True)
class Strip:
    """A picture of all frames.

    Attributes:
        frames: how many.
        size: columns and rows of one frame.
        png: the picture.
    """

    frames: int
    size: tuple[int, int]
    png: bytes

    @property
    def address(self) -> str:
        """The picture as a `data:` address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def draw_strip(
    panels: Sequence[tuple[NDArray[np.floating], Scale]], *, optimize: bool = False
) -> Strip:
    """Panels side by side, each in its colours.

    Args:
        panels: fields (F, H, W) of one shape and their scales.
        optimize: whether to take longer for a smaller picture.
    """
    maps = list(dict.fromkeys(scale.colours for _, scale in panels))
    shades = _SHADES // len(maps)
    drawn: list[NDArray[np.uint8]] = []
    for values_FHW, scale in panels:
        if drawn:
            drawn.append(_gap(drawn[0]))
        drawn.append(_indices(values_FHW, scale, shades, maps.index(scale.colours) * shades))
    strip_FHW = np.concatenate(drawn, axis=2)
    frames, rows, columns = strip_FHW.shape
    png = _png(strip_FHW.reshape(frames * rows, columns), maps, shades, optimize)
    return Strip(frames, (columns, rows), png)


def gradient(scale: Scale, stops: int) -> str:
    """The colours of a scale as a CSS gradient from left to right."""
    return f"linear-gradient(90deg,{','.join(_names(scale, stops))})"


def end_colours(scale: Scale) -> tuple[str, str]:
    """What lies below and above a scale, as CSS colours."""
    low, high = _names(scale, 2)
    return low, high


def _gap(panel_FHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    frames, rows, columns = panel_FHW.shape
    return np.full((frames, rows, max(1, columns // _GAP)), _CLEAR, np.uint8)


def _indices(
    values_FHW: NDArray[np.floating], scale: Scale, shades: int, first: int
) -> NDArray[np.uint8]:
    """Numbers of colours, upper rows of the plane first."""
    share = (values_FHW.astype(np.float64) - scale.low) / (scale.high - scale.low)
    known = np.isfinite(share)
    colours = first + np.clip(np.where(known, share, 0.0), 0.0, 1.0) * (shades - 1)
    indices: NDArray[np.uint8] = np.where(known, colours.round(), _CLEAR).astype(np.uint8)
    return indices[:, ::-1]


def _png(indices_HW: NDArray[np.uint8], maps: Sequence[str], shades: int, optimize: bool) -> bytes:
    image = Image.frombytes("P", indices_HW.shape[::-1], indices_HW.tobytes())
    palette = np.zeros((256, 3), np.uint8)
    for number, name in enumerate(maps):
        palette[number * shades : (number + 1) * shades] = _colours(name, shades)
    image.putpalette(palette.ravel().tolist())
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=optimize, transparency=_CLEAR)
    return file.getvalue()


def _names(scale: Scale, count: int) -> list[str]:
    return ["#" + bytes(colour).hex() for colour in _colours(scale.colours, count)]


def _colours(name: str, count: int) -> NDArray[np.uint8]:
    colours: NDArray[np.float64] = matplotlib.colormaps[name](np.linspace(0, 1, count))
    return (colours[:, :3] * 255).round().astype(np.uint8)
