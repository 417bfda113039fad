"""What a network takes and gives: the part of its configuration that all architectures share."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, RootModel, model_validator

from data_shards.config import Config, later
from data_shards.stream.layout import ModelLayout
from foundation.constraint.config import ConstraintConfig
from foundation.models.mixture import Mixture

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
    dimensions: Literal[1, 2, 3] = later(2)  # of space; time may be one more, see `mapped_grid`
    resolution: int = Field(default=128, ge=1, le=MOST_CELLS)
    channels: PositiveInt = 4  # given
    asked_channels: PositiveInt | None = later(None)  # None: those that are given
    slots: tuple[str, ...] = later(())  # names of the given channels; empty: by place
    context_frames: PositiveInt = 10
    out_frames: PositiveInt = 1
    instance_norm: bool = False
    # Whether a network is told the inverse hyperbolic sine of what was normalised away, such as a
    # pressure in the tens, rather than the number itself, beside which features of other corpora
    # are small.
    log_statistics: bool = later(False)
    scales: Scales | None = later(None)  # by which each sample's own source is normalised
    target: Literal["frame", "increment"] = "frame"
    constraint: ConstraintConfig | None = later(None)  # an equation that the answer solves

    @model_validator(mode="after")
    def _constrained_is_one_field_after_its_first_frame(self) -> Self:
        if self.constraint is None:
            return self
        if self.num_asked != 1 or not 2 <= self.out_frames < MOST_CELLS:
            raise ValueError(
                f"constraint: asks one channel and two frames or more, below {MOST_CELLS}, not "
                f"{self.num_asked} and {self.out_frames}; set asked_channels=1 and out_frames"
            )
        if self.instance_norm or self.scales or self.target != "frame" or self.dimensions != 2:
            raise ValueError(
                "constraint: basis fields are in physical units on a plane; leave instance_norm, "
                "scales, target and dimensions out"
            )
        return self

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
    def _statistics_are_normalised_away(self) -> Self:
        if self.log_statistics and not self.instance_norm:
            raise ValueError("log_statistics: nothing is normalised away; set instance_norm=true")
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
        if self.mixture is not None and self.mixture.router.sees == "context":
            raise ValueError(
                "router.sees=context goes by physical units, which scales are to take away; leave "
                "it out"
            )
        return self

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells along each axis of the fields; a line is a plane of one row."""
        side, constraint = self.resolution, self.constraint
        dimensions = self.dimensions if constraint is None else constraint.evolution.dimensions
        return {1: (1, side), 2: (side, side), 3: (side, side, side)}[dimensions]

    @property
    def is_space_time(self) -> bool:
        """Whether frames are an axis of what the network maps: of a line they make a plane."""
        return self.constraint is not None and self.constraint.evolution.dimensions == 1

    @property
    def mapped_grid(self) -> tuple[int, ...]:
        """Cells along each axis of what the network itself maps, frames first if they are one."""
        if self.constraint is None or not self.is_space_time:
            return self.grid
        return (self.out_frames + 1, *self.grid[-self.constraint.evolution.dimensions :])

    @property
    def num_mapped(self) -> int:
        """Channels that the network itself gives: of what is asked, or of basis fields."""
        if self.constraint is None:
            return self.num_asked * self.out_frames
        frames = 1 if self.is_space_time else self.out_frames + 1
        return self.num_asked * self.constraint.basis * frames

    @property
    def num_boxes(self) -> int:
        """Local solvers of a constraint, which spread over ranks as experts do; 0 without."""
        return 0 if self.constraint is None else self.constraint.num_boxes

    @property
    def num_asked(self) -> int:
        """Channels that are predicted."""
        return self.asked_channels or self.channels

    @property
    def feeds_back(self) -> bool:
        """Whether predictions continue what is given, and so can be given themselves."""
        return not self.slots and self.num_asked == self.channels

    @property
    def least_channels(self) -> int:
        """Of those given by place, fewer than which say nothing."""
        return 1

    @property
    def numbers(self) -> tuple[str, ...]:
        """Slots that hold one number per sample, whatever a field might hold."""
        return ()

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
    def mixture(self) -> Mixture | None:
        """The experts of every block, which spread over ranks; None of a dense network."""
        return None

    @property
    def num_routed(self) -> int:
        """Routed experts of a block; 0 for a dense network."""
        return 0 if self.mixture is None else self.mixture.router.num_experts

    @property
    def routes_by_corpus(self) -> bool:
        """Whether a sample's corpus decides its expert; a corpus that is not learnt has none."""
        return self.mixture is not None and self.mixture.router.by == "corpus"

    @property
    def has_classes(self) -> bool:
        """Whether there is an auxiliary head that tells corpora apart."""
        return False

    @property
    def goes_on(self) -> bool:
        """Whether the network answers on a longer domain, of more of its own cells."""
        return False


def check_square(config: FieldConfig) -> None:
    """Refuse frames that do not make a square of a line, for networks that take nothing else.

    Raises:
        ValueError: there are fewer or more rows than columns.
    """
    rows, columns = config.mapped_grid
    if rows != columns:
        raise ValueError(
            f"out_frames={config.out_frames}: {config.model_type} takes a square of frames and "
            f"{columns} cells; set out_frames={columns - 1}"
        )
