"""Panels of a page: fields in, a strip of frames per panel out, with its scale and round numbers.

Truth and forecast share their colours, which are those of the given and the known frames.
Axes: F frames, H rows (y, upwards), W columns (x).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from data_shards.pictures.strip import Strip, draw_strip
from data_shards.pictures.view import Scale, scale_of
from evaluation.simulation.page.scrub import Scrub

Kind = Literal["truth", "forecast", "error"]
_MOST_CELLS = 12_000_000  # of all strips of a page
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
        strip: its frames; the page may show more of the other panels.
        scale: what the colours mean.
    """

    kind: Kind
    strip: Strip
    scale: Scale


def panels(scrub: Scrub, channel: int) -> tuple[Panel, ...]:
    """Truth (where any is known), forecast and error of a channel."""
    step = _step(scrub)
    solid = None if scrub.simulation.mask is None else scrub.simulation.mask < 0.5
    colours = field_scale(scrub, channel)
    fields: dict[Kind, NDArray[np.float32]] = {"forecast": scrub.forecast[:, channel]}
    scales: dict[Kind, Scale] = {"forecast": colours.reaching(fields["forecast"])}
    if len(scrub.truth):
        fields = {"truth": scrub.truth[:, channel], **fields, "error": scrub.error[:, channel]}
        scales |= {"truth": colours, "error": error_scale(fields["error"], solid)}
    return tuple(
        Panel(kind, draw_strip([(_shown(values, solid, step), scales[kind])]), scales[kind])
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
