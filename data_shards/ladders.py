"""Shift ladders: families of corpora at growing distance from what models are trained on.

A ladder takes the card of a corpus and changes one parameter, rung by rung,
beyond the range of the training corpora, so that out-of-distribution error can
be drawn as a curve over the distance. A rung is a corpus like any other, with
a test split (and a training split, for few-shot studies).
"""

from math import log
from typing import Any, Literal

from pydantic import Field, NonNegativeInt

from data_shards.card import CorpusCard, Profile, Range, Shift, Split, merged
from data_shards.config import Config


class Rung(Config):
    """One corpus of a ladder."""

    value: float
    options: dict[str, Any] = Field(default_factory=dict)  # merged over the base's


class Ladder(Config):
    """One parameter, its trained values, and the rungs."""

    name: str
    title: str
    base: str  # card whose equation, solver and protocol all rungs share
    parameter: str  # key in the trajectories' parameters
    trained: tuple[float, ...]  # values, or both ends of the range, that the mixture of six covers
    scale: Literal["log", "linear"] = "log"
    interval: bool = False  # the trained values are the ends of a range, not points
    splits: dict[Split, NonNegativeInt] = Field(default={"train": 128, "test": 64})
    small: dict[Split, NonNegativeInt] = Field(default={"test": 8})
    rungs: tuple[Rung, ...]

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
    limits = Range(low=rung.value, high=rung.value, unit=unit)
    profiles = {
        name: Profile(
            resolution=profile.resolution,
            trajectories=ladder.splits if name == "published" else ladder.small,
            generator_options=merged(profile.generator_options, rung.options),
        )
        for name, profile in base.profiles.items()
    }
    return base.model_copy(
        update={
            "name": ladder.rung_names()[position],
            "title": f"{base.title}: {ladder.parameter} {rung.value:g} ({ladder.title})",
            "parameters": {**base.parameters, ladder.parameter: limits},
            "splits": ladder.splits,
            "groups": ("ood",),
            "generator_options": merged(base.generator_options, rung.options),
            "profiles": profiles,
            "published": None,
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
