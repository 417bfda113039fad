"""The terms of a routing test: which corpora, which windows, which distribution.

One sample is one window of the model's `context_frames` consecutive frames, what a single
call of the model sees; its distribution is what the routers say of that window.
"""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from data_shards.card import Split
from data_shards.config import Config
from data_shards.hashing import digest

# Kept apart from the published test's single window: several windows of a trajectory see
# several stages of a flow, and cost nothing new to generate.
WindowStart = Literal["random", "first"]


class RoutingTask(Config):
    """Everything that a routing record depends on beside model and shards."""

    version: PositiveInt = 1  # raised with every change of a task file's terms
    corpora: tuple[str, ...] = Field(min_length=2)  # seen in training
    unseen: tuple[str, ...] = ()  # never trained on
    fingerprint_split: Split = "train"
    test_split: Split = "test"
    windows: PositiveInt = 128  # per corpus and split; fewer where a split has fewer
    few: NonNegativeInt = 16  # windows of an unseen corpus's fingerprint; 0 makes none
    start: WindowStart = "random"  # first: frame 0 only, one window per trajectory
    temperature: Literal["evaluation"] | PositiveFloat = "evaluation"  # of the full softmax
    epsilon: PositiveFloat = 1e-12  # least probability whose logarithm is taken
    seed: NonNegativeInt = 0  # of the windows' start frames

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = (*self.corpora, *self.unseen)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} named twice; name every corpus once")
        if self.fingerprint_split == self.test_split:
            raise ValueError(
                f"fingerprints and test samples both from split {self.test_split!r}: that would "
                "test on what the fingerprints are made of; choose two splits"
            )
        return self

    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON of all terms."""
        return digest(self.canonical())
