"""Strips of frames for a page: fields in, one small picture per panel out, with its scale.

All frames of a panel stand one above the other in one PNG of 256 colours, of which the page
shows one at a time; what is no number (solid cells, a diverged forecast) is clear. Truth and
forecast share their colours, which are those of the given and the known frames.
Axes: F frames, H rows (y, upwards), W columns (x).
"""

import base64
import io
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from data_shards.pictures.view import Scale, scale_of
from evaluation.simulation.page.scrub import Scrub

Kind = Literal["truth", "forecast", "error"]
_SHADES = 254
_CLEAR = 255
_MOST_CELLS = 12_000_000  # of all strips of a page
_STOPS = 12  # of a colour bar
_ASPECTS = (0.2, 5.0)


@dataclass(frozen=True)
class Tick:
    """A number on an axis, at a share of its length."""

    place: float
    text: str


@dataclass(frozen=True)
class Panel:
    """One quantity over all frames.

    Attributes:
        kind: what it is.
        frames: how many it has; the page may show more of the other panels.
        size: columns and rows of one frame.
        png: the strip.
        scale: what the colours mean.
    """

    kind: Kind
    frames: int
    size: tuple[int, int]
    png: bytes
    scale: Scale

    @property
    def address(self) -> str:
        """The strip as a `data:` address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def panels(scrub: Scrub, channel: int) -> tuple[Panel, ...]:
    """Truth (where any is known), forecast and error of a channel."""
    step = _step(scrub)
    solid = None if scrub.simulation.mask is None else scrub.simulation.mask < 0.5
    colours = field_scale(scrub, channel)
    fields = {"forecast": scrub.forecast[:, channel]}
    scales = {"forecast": _reaching(colours, fields["forecast"])}
    if len(scrub.truth):
        fields = {"truth": scrub.truth[:, channel], **fields, "error": scrub.error[:, channel]}
        scales |= {"truth": colours, "error": error_scale(fields["error"], solid)}
    return tuple(
        _panel(kind, _shown(values, solid, step), scales[kind])  # type: ignore[arg-type]
        for kind, values in fields.items()
    )


def field_scale(scrub: Scrub, channel: int) -> Scale:
    """Colours of the frames that are given or known."""
    values = scrub.simulation.fields[:, channel]
    mask = scrub.simulation.mask
    return scale_of(values if mask is None else values[:, mask >= 0.5])


def error_scale(error: NDArray[np.float32], solid: NDArray[np.bool_] | None) -> Scale:
    """As much below zero as above, so that no error is the middle colour."""
    values = error if solid is None else error[:, ~solid]
    values = values[np.isfinite(values)]
    if not np.any(values):
        return Scale(-1.0, 1.0, "RdBu_r", "neither")
    return scale_of(np.concatenate([values, -values]))


def ticks(low: float, high: float, count: int = 4) -> tuple[Tick, ...]:
    """Round numbers between two ends."""
    values = np.asarray(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    slack = 1e-9 * (high - low)
    values = values[(values >= low - slack) & (values <= high + slack)]
    values[np.abs(values) < slack] = 0.0
    texts = _texts(values.tolist())
    return tuple(
        Tick((value - low) / (high - low), text)
        for value, text in zip(values.tolist(), texts, strict=True)
    )


def gradient(scale: Scale) -> str:
    """The colours of a scale as a CSS gradient from left to right."""
    stops = ",".join("#" + bytes(colour).hex() for colour in _colours(scale.colours, _STOPS))
    return f"linear-gradient(90deg,{stops})"


def end_colours(scale: Scale) -> tuple[str, str]:
    """What lies beyond the ends of a colour bar."""
    low, high = ("#" + bytes(colour).hex() for colour in _colours(scale.colours, 2))
    return low, high


def plane(scrub: Scrub) -> tuple[tuple[float, float, float, float], float]:
    """Ends of the axes (x_min, x_max, y_min, y_max), and width over height of a panel."""
    ends = scrub.simulation.extent
    aspect = (ends[1] - ends[0]) / (ends[3] - ends[2])
    if not _ASPECTS[0] <= aspect <= _ASPECTS[1]:  # x and y are in different units, or a line
        aspect = 1.0
    return ends, aspect


def _texts(values: list[float]) -> list[str]:
    """As few digits as tell the numbers apart."""
    for digits in range(3, 9):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(texts):
            break
    return [text.replace("e-0", "e-").replace("e+0", "e").replace("-", "−") for text in texts]


def _step(scrub: Scrub) -> int:
    """Every n-th row and column are drawn, so that the page stays light."""
    frames, channels, rows, columns = scrub.forecast.shape
    return max(1, int(np.ceil(np.sqrt(3 * frames * channels * rows * columns / _MOST_CELLS))))


def _shown(
    values_FHW: NDArray[np.float32], solid: NDArray[np.bool_] | None, step: int
) -> NDArray[np.float32]:
    if solid is not None:
        values_FHW = np.where(solid, np.float32(np.nan), values_FHW)
    return values_FHW[:, ::step, ::step]


def _reaching(scale: Scale, values: NDArray[np.float32]) -> Scale:
    """The same colours; the ends say that a forecast goes beyond them."""
    known = values[np.isfinite(values)]
    low, high = bool((known < scale.low).any()), bool((known > scale.high).any())
    extend = "both" if low and high else "min" if low else "max" if high else "neither"
    return Scale(scale.low, scale.high, scale.colours, extend)  # type: ignore[arg-type]


def _panel(kind: Kind, values_FHW: NDArray[np.float32], scale: Scale) -> Panel:
    frames, rows, columns = values_FHW.shape
    share = (values_FHW.astype(np.float64) - scale.low) / (scale.high - scale.low)
    known = np.isfinite(share)
    shades = np.clip(np.where(known, share, 0.0), 0.0, 1.0) * (_SHADES - 1)
    indices = np.where(known, shades.round(), _CLEAR).astype(np.uint8)[:, ::-1]
    strip = np.ascontiguousarray(indices).reshape(frames * rows, columns)
    return Panel(kind, frames, (columns, rows), _png(strip, scale.colours), scale)


def _png(indices_HW: NDArray[np.uint8], name: str) -> bytes:
    image = Image.frombytes("P", indices_HW.shape[::-1], indices_HW.tobytes())
    palette = np.zeros((256, 3), np.uint8)
    palette[:_SHADES] = _colours(name, _SHADES)
    image.putpalette(palette.ravel().tolist())
    file = io.BytesIO()
    image.save(file, format="PNG", transparency=_CLEAR)
    return file.getvalue()


def _colours(name: str, count: int) -> NDArray[np.uint8]:
    colours: NDArray[np.float64] = matplotlib.colormaps[name](np.linspace(0, 1, count))
    return (colours[:, :3] * 255).round().astype(np.uint8)
