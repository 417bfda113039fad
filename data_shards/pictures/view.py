"""What of a trajectory is drawn: planes or lines, where they lie, and in which colours.

Axes: T frames, C channels, H rows (y, upwards), W columns (x).
Of three dimensions the middle slice is drawn; in one dimension H = 1.
"""

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from data_shards.card import Channel, CorpusCard
from data_shards.trajectory import Trajectory

SOLID = "0.6"  # grey of solid cells
_OUTLIERS = 0.2  # per cent at either end that the colours do not stretch to
_SIGNED = 0.1  # the smaller of both signs must reach this share of the larger one

Extend = Literal["neither", "min", "max", "both"]
_ENDS: dict[tuple[bool, bool], Extend] = {  # whether values lie below, and above
    (False, False): "neither",
    (True, False): "min",
    (False, True): "max",
    (True, True): "both",
}


@dataclass(frozen=True)
class Scale:
    """One channel's colours, the same for all of its frames.

    Signed fields get a diverging map around 0, the others a sequential one.
    """

    low: float
    high: float
    colours: str
    extend: Extend  # values beyond the ends

    def reaching(self, values: NDArray[np.floating]) -> Self:
        """The same colours, with ends that say whether some values go beyond them."""
        known = values[np.isfinite(values)]
        below, above = bool((known < self.low).any()), bool((known > self.high).any())
        return replace(self, extend=_ENDS[below, above])


@dataclass(frozen=True)
class Caption:
    """What is written above a frame."""

    text: str
    colour: str = "black"


@dataclass(frozen=True)
class View:
    """A trajectory as it is drawn.

    Attributes:
        frames: (T, C, H, W), NaN in solid cells.
        times: (T,), from the first frame.
        extent: x_min, x_max, y_min, y_max.
        channels: names and units.
        scales: per channel.
        title: corpus, number and parameters.
    """

    frames: NDArray[np.float32]
    times: NDArray[np.float64]
    extent: tuple[float, float, float, float]
    channels: tuple[Channel, ...]
    scales: tuple[Scale, ...]
    title: str

    @property
    def is_line(self) -> bool:
        """Whether there is one dimension only."""
        return bool(self.frames.shape[2] == 1)

    @property
    def aspect(self) -> float:
        """Width over height of the domain."""
        x_min, x_max, y_min, y_max = self.extent
        return (x_max - x_min) / (y_max - y_min)

    def chosen(self, count: int, first: int = 0, after: int | None = None) -> list[int]:
        """Numbers of at most `count` of the frames from one to before another, both ends kept."""
        last = (len(self.frames) if after is None else after) - 1
        spread = np.linspace(first, last, min(count, last - first + 1))
        return sorted({round(number) for number in spread})


def view_of(trajectory: Trajectory, card: CorpusCard) -> View:
    """What is drawn of a trajectory of a corpus."""
    fields, mask = trajectory.fields, trajectory.full_mask
    if fields.ndim == 5:
        middle = fields.shape[2] // 2
        fields, mask = fields[:, :, middle], mask[middle]
    frames = np.where(mask > 0.5, fields, np.float32(np.nan))
    x_min, x_max, y_min, y_max = trajectory.extent[:4]
    return View(
        frames=frames,
        times=np.arange(len(frames), dtype=np.float64) * trajectory.dt_s,
        extent=(x_min, x_max, y_min, y_max),
        channels=card.channels,
        scales=tuple(scale_of(frames[:, channel]) for channel in range(frames.shape[1])),
        title=title_of(trajectory, card),
    )


def scale_of(values: NDArray[np.floating]) -> Scale:
    """Colours for all frames of one channel; NaN does not count."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Scale(0.0, 1.0, "viridis", "neither")
    low, high = (float(end) for end in np.percentile(known, (_OUTLIERS, 100 - _OUTLIERS)))
    if min(-low, high) > _SIGNED * max(-low, high):
        low, high = -max(-low, high), max(-low, high)
        colours = "RdBu_r"
    else:
        colours = "viridis"
    if high - low < 1e-6 * max(abs(low), abs(high), 1e-30):  # a constant
        middle = 0.5 * (low + high)
        reach = max(abs(middle) * 1e-3, 1e-6)
        low, high = middle - reach, middle + reach
    return Scale(low, high, colours, "neither").reaching(known)


def label(channel: Channel) -> str:
    """A channel's name with its unit, if it has one."""
    return channel.name if channel.unit in ("1", "") else f"{channel.name} [{channel.unit}]"


def title_of(trajectory: Trajectory, card: CorpusCard) -> str:
    """Corpus, number and parameters."""
    known = (
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(trajectory.parameters.items())
    )
    words = ", ".join(known)
    origin = "published" if trajectory.seed < 0 else f"seed {trajectory.seed}"
    return f"{card.title}\n{card.name} {trajectory.index} ({origin})" + (
        f": {words}" if words else ""
    )
