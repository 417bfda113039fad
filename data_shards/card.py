"""A corpus card: everything that holds for a corpus as a whole.

A card is the single source for channel names, units, domain, parameter
ranges, split sizes, published files and the evaluation window of a corpus;
generators, readers, the verifier, the stream and the documentation all ask it.
The cards that ship lie in `cards/`; `catalogue` finds them.
"""

from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from data_shards.config import Config, later
from data_shards.errors import UserError

Side = Literal[
    "periodic",
    "no_slip",
    "free_slip",
    "moving_lid",
    "inflow",
    "outflow",
    "no_flux",
    "extrapolation",
    "dirichlet",
    "neumann",
    "robin",
    "wall",
    "open",
    "uniform",  # nothing varies across it: the sides of the axis that a 1-D problem lacks
]
Split = Literal["train", "validation", "test"]
ProfileName = Literal["published", "small"]
# Names of corpora are parts of file names and of names on the Hub.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
HUB_DATASETS = "https://huggingface.co/datasets/"
MASK = "mask"  # among what a card gives: 1 in the fluid, 0 in solid cells
Group = Literal["mixture_6", "mixture_10", "mixture_12", "downstream", "ood"]


class Channel(Config):
    """One physical field."""

    name: str
    unit: str  # "1" for dimensionless


class ChannelStatistics(Config):
    """One channel over all frames and fluid cells of a corpus, in the channel's unit."""

    name: str
    mean: float
    std: float  # population form, divided by the count
    min: float
    max: float


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


class PublishedFile(Config):
    """One raw file, under the name its authors gave it."""

    name: str
    md5: str | None = None  # where it is published
    # Of the file itself, where a program can fetch it.
    url: str | None = later(None, pattern=r"^https?://")

    @model_validator(mode="after")
    def _lies_in_its_folder(self) -> Self:
        if PurePosixPath(self.name).is_absolute() or ".." in PurePosixPath(self.name).parts:
            raise ValueError(f"file {self.name!r} lies outside the folder of the files; rename it")
        return self


class PublishedFiles(Config):
    """Where the published data are, and how they are read."""

    reader: str
    options: dict[str, Any] = Field(default_factory=dict)  # the reader's own
    files: tuple[PublishedFile, ...] = ()
    url: str | None = None
    # Half-open slices in file order; negative counts from the end, null is an open end.
    splits: dict[Split, tuple[int | None, int | None]] = Field(default_factory=dict)

    @property
    def on_hub(self) -> bool:
        """Whether they are a data set on the Hugging Face Hub."""
        return (self.url or "").startswith(HUB_DATASETS)

    @property
    def can_be_fetched(self) -> bool:
        """Whether a program can: they have addresses of their own, or are on the Hub."""
        return self.on_hub or any(file.url for file in self.files)


class Profile(Config):
    """A size and fidelity at which a corpus is generated."""

    resolution: PositiveInt  # cells along x
    trajectories: dict[Split, NonNegativeInt] | None = None  # None: the card's splits
    generator_options: dict[str, Any] = Field(default_factory=dict)  # merged over the card's


class Given(NamedTuple):
    """One thing that a sample offers: a channel, a parameter as a constant channel, or the mask."""

    slot: str  # the name under which a layout may take it
    name: str  # of the channel or parameter, or `mask`


class Shift(Config):
    """Where a corpus stands on a ladder away from what models are trained on."""

    ladder: str
    base: str  # the corpus from which it differs in one parameter
    parameter: str
    value: float
    distance: NonNegativeFloat  # from the nearest trained value, 0 inside the trained range


class CorpusCard(Config):
    """Everything that holds for a corpus as a whole."""

    name: str = Field(pattern=NAME_PATTERN)
    title: str
    version: PositiveInt
    pde: str
    equation: str
    channels: tuple[Channel, ...]
    # Channels on the lower faces of their cells along an axis; all others stand at the centres. A
    # last face is the first one, on an axis that is periodic as on one that ends at walls.
    staggered: dict[str, Literal["x", "y", "z"]] = later({})
    mask_as_channel: bool = False  # the obstacle mask follows the fields as an unscored channel
    frames: PositiveInt
    dt_s: PositiveFloat | None = None  # None where it differs between trajectories
    native_grid: tuple[PositiveInt, ...]  # rows, columns; (1, N) in one dimension, (D, H, W) in 3
    boundary: dict[str, Side] | None = None  # None where it differs between trajectories
    extent: tuple[float, ...] | None = None  # x_min, x_max, y_min, y_max[, z_min, z_max]
    parameters: dict[str, Range]
    # What a model is given, as `slot` or `slot=name`: channels, parameters as constant channels,
    # `mask`. What it is asked: channels. Empty: all of them.
    given: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    window: Literal["next", "same"] = "next"  # the frames that are asked: those after, or the same
    axis: Literal["space", "states"] = "space"  # states of a system are never resampled
    context_frames: PositiveInt = 10
    rollout_frames: NonNegativeInt  # frames predicted at test by the published protocol
    splits: dict[Split, NonNegativeInt]  # published trajectory counts
    groups: tuple[Group, ...] = ()
    generator: str | None = None  # None: it comes from published files alone
    generator_options: dict[str, Any] = Field(default_factory=dict)
    profiles: dict[ProfileName, Profile] = Field(default_factory=dict)
    published: PublishedFiles | None = None
    statistics: tuple[ChannelStatistics, ...] = ()  # of the small profile's training split
    shift: Shift | None = None
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

    @model_validator(mode="after")
    def _grid_is_a_plane_or_a_box(self) -> Self:
        if len(self.native_grid) not in (2, 3):
            raise ValueError(
                f"native_grid={list(self.native_grid)}; wanted [rows, columns] (one dimension is "
                "[1, columns]) or [slices, rows, columns]"
            )
        return self

    @model_validator(mode="after")
    def _given_and_asked_are_there(self) -> Self:
        known = {*self.channel_names, *self.parameters, MASK}
        for what, names, there in (
            ("given", [one.name for one in self.offered], known),
            ("asked", self.asked, {*self.channel_names}),
        ):
            if unknown := [name for name in names if name not in there]:
                raise ValueError(f"{what} {unknown}: neither {' nor '.join(sorted(there))}")
        slots = [one.slot for one in self.offered]
        if twice := {slot for slot in slots if slots.count(slot) > 1}:
            raise ValueError(f"given: slot {min(twice)} is filled twice; fill it once")
        return self

    @model_validator(mode="after")
    def _staggered_are_there(self) -> Self:
        if unknown := [name for name in self.staggered if name not in self.channel_names]:
            raise ValueError(f"staggered {unknown}: none of {', '.join(self.channel_names)}")
        return self

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.channels)

    @property
    def offered(self) -> tuple[Given, ...]:
        """What is given, in order: as the card says, else all channels and the obstacle mask."""
        if not self.given:
            mask = (MASK,) if self.mask_as_channel else ()
            return tuple(Given(name, name) for name in (*self.channel_names, *mask))
        pairs = (text.partition("=") for text in self.given)
        return tuple(Given(slot, name or slot) for slot, _, name in pairs)

    @property
    def asked_names(self) -> tuple[str, ...]:
        """Channels that are predicted and scored, in order."""
        return self.asked or self.channel_names

    @property
    def is_box(self) -> bool:
        """Whether there are three dimensions."""
        return len(self.native_grid) == 3

    @property
    def continues(self) -> bool:
        """Whether an answer is of the kind of what was given, so that it may be fed back."""
        fields = [one.name for one in self.offered if one.name != MASK]
        return self.window == "next" and tuple(fields) == self.asked_names

    @property
    def asked_frames(self) -> int:
        """Frames that a test of the card's own protocol asks; 0 if there is none."""
        return self.context_frames if self.window == "same" else self.rollout_frames

    def window_frames(self, given: int, asked: int) -> int:
        """Frames of a trajectory that a window covers.

        Raises:
            UserError: the same frames are asked as are given, but not as many.
        """
        if self.window == "next":
            return given + asked
        if asked not in (0, given):
            raise UserError(
                f"corpus {self.name} asks the frames that it gives: {given} given and {asked} "
                "asked do not fit; take as many"
            )
        return given

    def grid(self, resolution: int) -> tuple[int, ...]:
        """The native grid's shape, scaled to `resolution` cells along x.

        Raises:
            UserError: other than the native cells are wanted of states, which no grid resolves.
        """
        longest = self.native_grid[-1]
        if self.axis == "states" and resolution != longest:
            raise UserError(
                f"corpus {self.name} has {longest} states along x, not {resolution}: states are "
                "not resampled; leave --resolution out"
            )
        return tuple(max(1, cells * resolution // longest) for cells in self.native_grid)

    def at(self, profile: ProfileName) -> "CorpusCard":
        """This card with a profile's generator options merged in."""
        if profile not in self.profiles:
            return self
        options = merged(self.generator_options, self.profiles[profile].generator_options)
        return self.model_copy(update={"generator_options": options})


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A nested mapping with some of its leaves replaced; neither argument changes."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = merged(old, value)
        result[key] = value
    return result
