"""What a network takes and gives: the part of its configuration that all architectures share."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from data_shards.config import Config
from data_shards.stream.layout import ModelLayout, square

# Along a side. No weight of some networks tells the grid, so that a configuration alone could
# ask for any amount of memory once it is used.
MOST_CELLS = 4096


class FieldConfig(Config):
    """What a network takes and gives, whatever is inside."""

    model_type: str
    resolution: int = Field(default=128, ge=1, le=MOST_CELLS)
    channels: PositiveInt = 4
    context_frames: PositiveInt = 10
    out_frames: PositiveInt = 1
    instance_norm: bool = False
    target: Literal["frame", "increment"] = "frame"

    @model_validator(mode="after")
    def _increments_have_a_past(self) -> Self:
        if self.target == "increment" and self.context_frames < 2:
            raise ValueError("target=increment needs context_frames of 2 or more; raise it")
        return self

    @property
    def layout(self) -> ModelLayout:
        """The grid and channels that a batch for this network has."""
        return square(self.resolution, self.channels)

    @property
    def num_routed(self) -> int:
        """Routed experts of a block; 0 for a dense network."""
        return 0

    @property
    def has_classes(self) -> bool:
        """Whether there is an auxiliary head that tells corpora apart."""
        return False
