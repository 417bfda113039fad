"""Shift ladders: families of corpora at growing distance from what models are trained on.

A ladder takes the card of a corpus and changes one parameter, rung by rung,
beyond the range of the training corpora, so that out-of-distribution error can
be drawn as a curve over the distance. A rung is a corpus like any other, with
a test split (and a training split, for few-shot studies). All rungs of a ladder
draw the same random numbers, so trajectory n is the same flow but for the
parameter, and a curve shows the shift and not the luck of the draw (a problem that
its generator draws again is another one from there on). One rung, of
distance 0, is inside of what models are trained on: there the curve begins.
"""

from math import log
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from data_shards.card import CorpusCard, Profile, PublishedFiles, Range, Shift, Split, merged
from data_shards.config import Config

Share = Annotated[float, Field(ge=0, le=1)]


class Rung(Config):
    """One corpus of a ladder.

    A rung is a range of the shifted parameter and not one value where the trained corpus draws
    it from a range too, or where nothing else is random: trajectories would all be the same.
    """

    value: float
    range: tuple[float, float] | None = None  # that the value stands for; None is the value alone
    parameters: dict[str, Range] = Field(default_factory=dict)  # others, that follow from it
    options: dict[str, Any] = Field(default_factory=dict)  # merged over the base's
    published: dict[str, Any] = Field(default_factory=dict)  # and over these at full fidelity


class Ladder(Config):
    """One parameter, its trained values, and the rungs."""

    name: str
    title: str
    base: str  # card whose equation, solver and protocol all rungs share
    parameter: str  # key in the trajectories' parameters
    tied: tuple[str, ...] = ()  # parameters that take the same value
    trained: tuple[float, ...]  # values, or both ends of the range, that models are trained on
    scale: Literal["log", "linear"] = "log"
    interval: bool = False  # the trained values are the ends of a range, not points
    convertible: bool = False  # files of the base's published form hold rungs too
    redrawn: dict[float, Share] = Field(default_factory=dict)  # problems drawn again, by value
    frames: PositiveInt | None = None  # None: as many as the base's
    splits: dict[Split, NonNegativeInt] = Field(default={"train": 128, "test": 64})
    small: dict[Split, NonNegativeInt] = Field(default={"test": 8})
    rungs: tuple[Rung, ...]

    @model_validator(mode="after")
    def _measurable(self) -> Self:
        values = [rung.value for rung in self.rungs]
        if not values or values != sorted(set(values)):
            raise ValueError(f"rungs are {values}; wanted one or more, each once, rising")
        for rung in self.rungs:
            low, high = rung.range or (rung.value, rung.value)
            if not low <= rung.value <= high:
                raise ValueError(f"rung {rung.value:g} is outside its range [{low:g}, {high:g}]")
        if not self.trained or (self.interval and len(self.trained) != 2):
            raise ValueError(
                f"trained={list(self.trained)} with interval={self.interval}; wanted values, or "
                "both ends of one interval"
            )
        if self.scale == "log" and min(*self.trained, *values) <= 0:
            raise ValueError("values on a log scale must be positive; use scale: linear")
        return self

    def rung_names(self) -> list[str]:
        """Names of the rungs' corpora: the ladder's and the value."""
        return [f"{self.name}_{rung.value:g}" for rung in self.rungs]

    def distance(self, value: float) -> float:
        """How far a value is from the nearest trained one.

        On a log scale in decades, on a linear one in widths of the trained range.
        """
        if self.interval and min(self.trained) <= value <= max(self.trained):
            return 0.0
        if self.scale == "log":
            return min(abs(log(value / known)) for known in self.trained) / log(10)
        width = max(self.trained) - min(self.trained)
        return min(abs(value - known) for known in self.trained) / (width or 1.0)


def rung_card(ladder: Ladder, position: int, base: CorpusCard) -> CorpusCard:
    """The card of one rung: the base's with one parameter changed."""
    rung = ladder.rungs[position]
    unit = base.parameters[ladder.parameter].unit
    low, high = rung.range or (rung.value, rung.value)
    limits = Range(low=low, high=high, unit=unit)
    shifted = dict.fromkeys((ladder.parameter, *ladder.tied), limits)
    profiles = {
        name: Profile(
            resolution=profile.resolution,
            trajectories=ladder.splits if name == "published" else ladder.small,
            generator_options=merged(
                merged(profile.generator_options, rung.options),
                rung.published if name == "published" else {},
            ),
        )
        for name, profile in base.profiles.items()
    }
    return base.model_copy(
        update={
            "name": ladder.rung_names()[position],
            "title": f"{base.title}: {ladder.parameter} {rung.value:g} ({ladder.title})",
            "parameters": {**base.parameters, **shifted, **rung.parameters},
            "frames": ladder.frames or base.frames,
            "splits": ladder.splits,
            "groups": ("ood",),
            "generator_options": merged(base.generator_options, rung.options),
            "profiles": profiles,
            "published": _published(ladder, base),
            "statistics": (),
            "shift": Shift(
                ladder=ladder.name,
                base=base.name,
                parameter=ladder.parameter,
                value=rung.value,
                distance=ladder.distance(rung.value),
            ),
        }
    )


def _published(ladder: Ladder, base: CorpusCard) -> PublishedFiles | None:
    """How files of a rung are read, which have no names of their own; None if none are."""
    if not ladder.convertible or base.published is None:
        return None
    return base.published.model_copy(update={"files": ()})
