"""What a network takes and gives: the part of its configuration that all architectures share."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, RootModel, model_validator

from data_shards.config import Config, later
from data_shards.stream.layout import ModelLayout

# Along a side. No weight of some networks tells the grid, so that a configuration alone could
# ask for any amount of memory once it is used.
MOST_CELLS = 4096

SOURCE = "source"  # slot of a right-hand side, to whose size `scales` normalise

Median = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class Scales(RootModel[dict[str, Median]]):
    """What is usual in each slot: medians over the samples that are learnt from, by slot.

    Of the source, the root of its sum of squares times the size of a cell (so scales are of one
    resolution); of coefficients, their size.
    """

    model_config = ConfigDict(frozen=True)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.root.items())))

    def of(self, slot: str) -> float:
        """The median; 1 of what is usually absent."""
        return self.root[slot] or 1.0


class FieldConfig(Config):
    """What a network takes and gives, whatever is inside."""

    model_type: str
    dimensions: Literal[1, 2, 3] = later(2)  # of space
    resolution: int = Field(default=128, ge=1, le=MOST_CELLS)
    channels: PositiveInt = 4  # given
    asked_channels: PositiveInt | None = later(None)  # None: those that are given
    slots: tuple[str, ...] = later(())  # names of the given channels; empty: by place
    context_frames: PositiveInt = 10
    out_frames: PositiveInt = 1
    instance_norm: bool = False
    scales: Scales | None = later(None)  # by which each sample's own source is normalised
    target: Literal["frame", "increment"] = "frame"

    @model_validator(mode="after")
    def _increments_have_a_past(self) -> Self:
        if self.target == "increment" and self.context_frames < 2:
            raise ValueError("target=increment needs context_frames of 2 or more; raise it")
        if self.target == "increment" and not (self.feeds_back and self.scales is None):
            raise ValueError(
                "target=increment continues what is given: leave asked_channels and scales out, "
                "or set target=frame"
            )
        return self

    @model_validator(mode="after")
    def _slots_are_the_channels(self) -> Self:
        if self.slots and {len(set(self.slots)), len(self.slots)} != {self.channels}:
            raise ValueError(
                f"slots {list(self.slots)} name {len(set(self.slots))} channels, "
                f"channels={self.channels}; make them equal"
            )
        return self

    @model_validator(mode="after")
    def _scales_are_those_of_the_slots(self) -> Self:
        if self.scales is None:
            return self
        if SOURCE not in self.slots or set(self.scales.root) != set(self.slots):
            raise ValueError(
                f"scales of {sorted(self.scales.root)}: wanted one of each of the slots "
                f"{sorted(self.slots)}, {SOURCE} among them"
            )
        if self.instance_norm:
            raise ValueError("scales and instance_norm both normalise; set instance_norm=false")
        return self

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells along each axis of the fields; a line is a plane of one row."""
        side = self.resolution
        return {1: (1, side), 2: (side, side), 3: (side, side, side)}[self.dimensions]

    @property
    def num_asked(self) -> int:
        """Channels that are predicted."""
        return self.asked_channels or self.channels

    @property
    def feeds_back(self) -> bool:
        """Whether predictions continue what is given, and so can be given themselves."""
        return not self.slots and self.num_asked == self.channels

    @property
    def reconstructs(self) -> bool:
        """Whether what is asked are the given frames themselves, whatever a card says."""
        return False

    @property
    def normalise(self) -> Literal["none", "instance", "source"]:
        """How what is given is made dimensionless."""
        if self.scales is not None:
            return "source"
        return "instance" if self.instance_norm else "none"

    @property
    def layout(self) -> ModelLayout:
        """The grid and channels that a batch for this network has."""
        return ModelLayout(
            grid=self.grid,
            channels=self.channels,
            asked_channels=self.asked_channels,
            slots=self.slots,
        )

    @property
    def num_routed(self) -> int:
        """Routed experts of a block; 0 for a dense network."""
        return 0

    @property
    def has_classes(self) -> bool:
        """Whether there is an auxiliary head that tells corpora apart."""
        return False
