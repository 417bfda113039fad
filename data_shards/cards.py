"""Corpus cards: what a corpus is, read from `cards/NAME.yaml`.

A card is the single source for channel names, units, domain, parameter
ranges, split sizes and the evaluation window of a corpus; generators,
readers, the verifier, the stream and the documentation all ask it.
"""

from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from data_shards.config import Config
from data_shards.errors import UserError, unknown_name

Side = Literal["periodic", "no_slip", "moving_lid", "inflow", "outflow", "no_flux", "extrapolation"]
Split = Literal["train", "validation", "test"]


class Channel(Config):
    """One physical field."""

    name: str
    unit: str  # "1" for dimensionless


class Range(Config):
    """Closed interval of a PDE parameter over the corpus."""

    low: float
    high: float
    unit: str = "1"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low={self.low} exceeds high={self.high}; swap them")
        return self


class CorpusCard(Config):
    """Everything that holds for a corpus as a whole."""

    name: str
    title: str
    version: PositiveInt
    pde: str
    equation: str
    channels: tuple[Channel, ...]
    mask_as_channel: bool = False  # the obstacle mask follows the fields as an unscored channel
    frames: PositiveInt
    dt_s: PositiveFloat | None = None  # None where it differs between trajectories
    native_resolution: PositiveInt
    boundary: dict[str, Side] | None = None  # None where it differs between trajectories
    extent: tuple[float, float, float, float] | None = None  # x_min, x_max, y_min, y_max
    parameters: dict[str, Range]
    context_frames: PositiveInt = 10
    rollout_frames: PositiveInt  # frames predicted at test by the published protocol
    splits: dict[Split, int]  # published trajectory counts
    generator: str
    generator_options: dict[str, Any] = Field(default_factory=dict)
    source: str
    license: str
    citation: str

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        if self.context_frames + self.rollout_frames > self.frames:
            raise ValueError(
                f"context_frames={self.context_frames} + rollout_frames={self.rollout_frames} "
                f"exceed frames={self.frames}; lower one of them"
            )
        return self

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.channels)


def card_names() -> list[str]:
    """Names of all known corpora, sorted."""
    folder = files("data_shards") / "cards"
    return sorted(
        e.name.removesuffix(".yaml") for e in folder.iterdir() if e.name.endswith(".yaml")
    )


@cache
def load_card(name: str) -> CorpusCard:
    """The card of a corpus.

    Raises:
        UserError: no such corpus (with the nearest names), or the card is invalid.
    """
    if name not in card_names():
        raise unknown_name("corpus", name, card_names())
    text = (files("data_shards") / "cards" / f"{name}.yaml").read_text()
    card = CorpusCard.read(yaml.safe_load(text), f"card {name}")
    if card.name != name:
        raise UserError(f"card {name}: its name says {card.name!r}; rename the file or the card")
    return card
