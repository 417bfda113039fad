"""Evaluation tasks: a name or group in, the fixed terms of a test out.

A task is one versioned YAML file, `tasks/NAME.yaml`; its hash covers every
value that a score depends on, so two records compare iff their hashes agree.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, PositiveInt, model_validator

from data_shards.card import Split
from data_shards.catalogue import card_names
from data_shards.config import Config, read_yaml
from data_shards.errors import UserError, unknown_name
from evaluation.metrics import METRICS, MetricName

BUILT_IN = Path(__file__).parent / "tasks"

# What may change without changing a number: left out of the hash.
_PROSE = {"description", "groups"}


class Task(Config):
    """The terms of one test."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.+-]+$")  # the name of its file
    version: PositiveInt  # raised at every change of the terms
    description: str
    corpus: str  # a record may come from a house that has further ones
    split: Split = "test"
    context_frames: PositiveInt = 10
    rollout_frames: PositiveInt
    metrics: tuple[MetricName, ...] = tuple(METRICS)
    headline: MetricName = "l2re"
    higher_is_better: bool = False  # of the headline
    groups: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.headline not in self.metrics:
            raise ValueError(
                f"headline {self.headline!r} is not among metrics {list(self.metrics)}; add it"
            )
        return self

    @property
    def frames(self) -> int:
        """Frames of a trajectory that the task looks at."""
        return self.context_frames + self.rollout_frames

    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON of everything that a score depends on."""
        terms = self.model_dump(mode="json", exclude=_PROSE)
        return hashlib.sha256(json.dumps(terms, sort_keys=True).encode()).hexdigest()


def load_tasks(include: Path | None = None) -> dict[str, Task]:
    """All tasks by name: the built-in ones and those of a user's folder.

    Args:
        include: folder of further YAML files.

    Raises:
        UserError: an invalid file, a name used twice, or a folder without tasks.
    """
    paths = sorted(BUILT_IN.glob("*.yaml"))
    if include is not None:
        extra = sorted(include.glob("*.yaml"))
        if not extra:
            raise UserError(f"{include}: no task files (*.yaml) in this folder; mend --include")
        paths += extra
    tasks: dict[str, Task] = {}
    for path in paths:
        task = Task.read(read_yaml(path), f"task {path.name}")
        if task.name != path.stem:
            raise UserError(f"task {path.name}: its name says {task.name!r}; rename one of them")
        if task.corpus not in card_names():
            unknown = unknown_name("corpus", task.corpus, card_names())
            raise UserError(f"task {path.name}: {unknown}")
        if task.name in tasks:
            raise UserError(f"{path}: a task {task.name!r} exists already; give it another name")
        tasks[task.name] = task
    return tasks


def select_tasks(names: Sequence[str], tasks: dict[str, Task]) -> tuple[Task, ...]:
    """Tasks by their own names and by those of groups, in the order asked, each once.

    Raises:
        UserError: neither a task nor a group (with the nearest names), or nothing asked.
    """
    groups = {group for task in tasks.values() for group in task.groups}
    chosen: dict[str, Task] = {}
    for name in names:
        if name in tasks:
            chosen[name] = tasks[name]
        elif name in groups:
            chosen |= {task.name: task for task in tasks.values() if name in task.groups}
        else:
            raise unknown_name("task or group", name, {*tasks, *groups})
    if not chosen:
        raise UserError(f"no task asked for; known groups: {', '.join(sorted(groups))}")
    return tuple(chosen.values())
