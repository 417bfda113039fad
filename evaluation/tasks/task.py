"""Evaluation tasks: a name or group in, the fixed terms of a test out.

A task is one versioned YAML file, `tasks/NAME.yaml`, or a member of a family of
them (`task_files`); its hash covers every value that a score depends on, so two
records compare iff their hashes agree.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from data_shards.card import CorpusCard, Split
from data_shards.catalogue import load_card
from data_shards.config import Config, later
from data_shards.errors import UserError, unknown_name
from data_shards.hashing import digest
from evaluation.metrics.expression import names_of
from evaluation.metrics.names import MetricName, find_metric, frame_metric
from evaluation.tasks.files import card_window, read_groups, read_task_values

BUILT_IN = Path(__file__).parent

# What may change without changing a number: left out of the hash.
_PROSE = ("description", "groups")

Aggregation = Literal["mean", "median"]
ProtocolName = Literal["own", "reference"]  # see `evaluation.harness.protocol`


class BandTerms(Config):
    """Bands that are to hold the truth, widened until they held that of known trajectories."""

    level: float = Field(default=0.9, gt=0.0, lt=1.0)  # share of points within
    # Whose trajectories are known; None: the corpus itself, or that which its ladder leads away
    # from, so that a shift shows.
    corpus: str | None = None
    split: Split = "validation"


class Task(Config):
    """The terms of one test."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.+-]+$")  # the name of its file
    version: PositiveInt  # raised at every change of the terms
    description: str
    corpus: str  # a record may come from a house that has further ones
    split: Split = "test"
    context_frames: PositiveInt = 10
    rollout_frames: PositiveInt
    metrics: tuple[MetricName, ...] = ("l2re", "nrmse", "vrmse", "max_error")
    headline: MetricName = "l2re"
    higher_is_better: bool = False  # of the headline; follows from it
    groups: tuple[str, ...] = ()
    kind: Literal["forecast", "few_shot", "routing"] = later("forecast")
    windows: tuple[NonNegativeInt, ...] = later((0,))  # frames at which the context starts
    frames: tuple[PositiveInt, ...] = later(())  # predicted frames whose L2RE is a score of its own
    valid_threshold: PositiveFloat = later(0.2)  # largest L2RE of a valid frame
    # Quantity -> densities, in the place of what is known of the corpus's equation.
    conserved: dict[str, tuple[str, ...]] = later({})
    solenoidal: tuple[str, str] | None = later(None)  # channels of a velocity without divergence
    aggregation: Aggregation = later("mean")  # of the samples' values
    keys: str = later("*")  # only trajectories whose key matches, as file names do
    few_shot: tuple[PositiveInt, ...] = later(())  # numbers of trajectories to learn from
    free_frames: NonNegativeInt = later(0)  # frames that are predicted beyond the end of the truth
    # The frames asked are those after the given ones, the same ones (`rollout_frames` of them), or
    # what is given itself, to be reconstructed.
    asked: Literal["next", "same", "given"] = later("next")
    # What the variance of VRMSE is divided by: the points of a frame, or one less, as The Well's
    # program does. Tasks of versions before this key have the former.
    vrmse: Literal["points", "the_well"] = later("points")
    bands: BandTerms | None = later(None)
    protocol: ProtocolName = later("own")  # how the forecast is made and which cells are scored

    @model_validator(mode="before")
    @classmethod
    def _direction_follows(cls, values: Any) -> Any:
        if isinstance(values, dict) and "higher_is_better" not in values:
            headline = values.get("headline", "l2re")
            return {**values, "higher_is_better": _direction(headline)}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.metrics:
            _known(name)
        for name, listed in (
            ("metrics", self.metrics),
            ("windows", self.windows),
            ("frames", self.frames),
        ):
            if len(set(listed)) < len(listed):
                raise ValueError(f"{name} {list(listed)} names one twice; name each once")
        if not self.windows:
            raise ValueError("windows is empty; [0] starts at the first frame")
        if self.headline not in self.measured:
            raise ValueError(
                f"headline {self.headline!r} is not among metrics {list(self.measured)}; add it"
            )
        if not find_metric(self.headline).ranked:
            raise ValueError(
                f"headline {self.headline!r}: neither more nor less of it is better; choose another"
            )
        if self.higher_is_better != _direction(self.headline):
            raise ValueError(
                f"higher_is_better={self.higher_is_better} does not fit headline "
                f"{self.headline!r}; leave it out, it follows from the headline"
            )
        if beyond := [frame for frame in self.frames if frame > self.rollout_frames]:
            raise ValueError(
                f"frames {beyond} lie beyond rollout_frames={self.rollout_frames}; "
                "raise it or leave them out"
            )
        if self.asked != "next" and self.rollout_frames != self.context_frames:
            raise ValueError(
                f"asked={self.asked} asks the frames that are given: context_frames="
                f"{self.context_frames} "
                f"and rollout_frames={self.rollout_frames} differ; make them equal"
            )
        if self.asked != "next" and self.free_frames:
            raise ValueError(
                f"asked={self.asked} has no frames beyond its truth; leave free_frames out"
            )
        if self.bands is not None and len(self.windows) > 1:
            raise ValueError(
                "bands are calibrated on one window of every trajectory; leave windows out"
            )
        if self.kind == "few_shot" and not self.few_shot:
            raise ValueError("kind few_shot needs few_shot, a list of numbers of trajectories")
        return self

    @model_validator(mode="after")
    def _expressions_readable(self) -> Self:
        for text in (text for texts in self.conserved.values() for text in texts):
            try:
                names_of(text)
            except UserError as error:
                raise ValueError(f"conserved: {error}") from None
        return self

    @property
    def measured(self) -> tuple[MetricName, ...]:
        """All scores that are asked for; those that do not apply are left out of a record."""
        chosen = map(frame_metric, self.frames)
        return (*self.metrics, *(name for name in chosen if name not in self.metrics))

    @property
    def length(self) -> int:
        """Frames that a trajectory must have."""
        later = self.rollout_frames if self.asked == "next" else 0
        return max(self.windows) + self.context_frames + later

    @property
    def calibration(self) -> tuple[str, Split] | None:
        """Corpus and split that bands are calibrated on; None without bands."""
        if self.bands is None:
            return None
        if self.bands.corpus is not None:
            return self.bands.corpus, self.bands.split
        try:
            shift = load_card(self.corpus).shift
        except UserError:  # of one's own, which has no card here
            shift = None
        return self.corpus if shift is None else shift.base, self.bands.split

    @property
    def as_forecast(self) -> Self:
        """What is judged after learning: the same terms without the learning."""
        return self.model_copy(update={"kind": "forecast", "few_shot": ()})

    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON of everything that a score depends on."""
        terms = self.canonical()
        return digest({name: value for name, value in terms.items() if name not in _PROSE})


def _known(name: str) -> None:
    try:
        find_metric(name)
    except UserError as error:
        raise ValueError(str(error)) from None


def _direction(name: str) -> bool:
    _known(name)
    return find_metric(name).higher_is_better


class Grouped(Protocol):
    """Something that stands in groups."""

    @property
    def groups(self) -> tuple[str, ...]: ...


def load_tasks(include: Path | None = None) -> dict[str, Task]:
    """All tasks by name: the built-in ones and those of a user's folder.

    Args:
        include: folder of further YAML files.

    Raises:
        UserError: an invalid file, a name used twice, or a folder without tasks.
    """
    return dict(_built_in()) if include is None else _read(include)


@cache
def _built_in() -> dict[str, Task]:
    return _read(None)


def _read(include: Path | None) -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for where, values in read_task_values(task_folders(include)):
        task = Task.read(values, where)
        _check_corpus(task, where)
        if task.name in tasks:
            raise UserError(f"{where}: a task {task.name!r} exists already; give it another name")
        tasks[task.name] = task
    for group, (_, members) in read_groups(task_folders(include)).items():
        for task in select_tasks(members, tasks) if members else ():
            if group not in task.groups:
                groups = (*task.groups, group)
                tasks[task.name] = task.model_copy(update={"groups": groups})
    return tasks


def task_of_card(card: CorpusCard) -> Task:
    """The test of a corpus that no task is written for: the window of its card.

    Args:
        card: as its shards keep it, so that corpora of one's own have one.

    Raises:
        UserError: the card asks no frames.
    """
    if not card.asked_frames:
        raise UserError(
            f"corpus {card.name} has no window of its own to be tested by; name a test by --task, "
            "or generate its shards again if they are older than its card"
        )
    return Task(
        name=f"zero_shot_{card.name}",
        version=1,
        description=f"{card.title}: the window of its card.",
        corpus=card.name,
        **card_window(card),
    )


def group_meanings(include: Path | None = None) -> dict[str, str]:
    """What each group is for, of those that a `groups.yaml` describes."""
    return {name: meaning for name, (meaning, _) in read_groups(task_folders(include)).items()}


def task_folders(include: Path | None) -> list[Path]:
    """Folders of task files: ours, and a user's."""
    return [BUILT_IN] if include is None else [BUILT_IN, include]


def _check_corpus(task: Task, where: str) -> None:
    """Refuse a corpus that is not known here, and windows that leave its trajectories."""
    try:
        card = load_card(task.corpus)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if task.asked not in (card.window, "given"):
        raise UserError(
            f"{where}: asked={task.asked}, corpus {card.name} asks the {card.window} frames; "
            f"set asked: {card.window}"
        )
    if task.length > card.frames:
        raise UserError(
            f"{where}: it looks at {task.length} frames, corpus {card.name} has {card.frames}; "
            "lower windows, context_frames or rollout_frames"
        )


def group_names(tasks: Iterable[Grouped]) -> tuple[str, ...]:
    """Groups that have a task, sorted."""
    return tuple(sorted({group for task in tasks for group in task.groups}))


def select_tasks(names: Sequence[str], tasks: dict[str, Task]) -> tuple[Task, ...]:
    """Tasks by their own names and by those of groups, in the order asked, each once.

    Raises:
        UserError: neither a task nor a group (with the nearest names), or nothing asked.
    """
    groups = group_names(tasks.values())
    chosen: dict[str, Task] = {}
    for name in names:
        if name in tasks:
            chosen[name] = tasks[name]
        elif name in groups:
            chosen |= {task.name: task for task in tasks.values() if name in task.groups}
        else:
            raise unknown_name("task or group", name, {*tasks, *groups}, "foundation tasks")
    if not chosen:
        raise UserError(f"no task asked for; known groups: {', '.join(groups)}")
    return tuple(chosen.values())
