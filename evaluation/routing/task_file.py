"""Routing tasks as files, beside the other tasks: a folder in, terms by name out.

A task file of `kind: routing` names corpora, groups of corpora or ladders in the place of one
corpus; what else it says are terms of `RoutingTask`.
"""

from pathlib import Path
from typing import Any

from data_shards.catalogue import expand
from data_shards.config import Config
from data_shards.errors import UserError
from evaluation.routing.task import RoutingTask
from evaluation.tasks.files import ROUTING, read_task_values
from evaluation.tasks.task import task_folders


class RoutingTaskFile(Config):
    """A routing test that has a name."""

    name: str
    description: str
    groups: tuple[str, ...] = (ROUTING,)
    terms: RoutingTask

    @property
    def hash(self) -> str:
        return self.terms.hash


def load_routing_tasks(include: Path | None = None) -> dict[str, RoutingTaskFile]:
    """Routing tasks by name: the built-in ones and those of a user's folder.

    Raises:
        UserError: an invalid file, or a name used twice.
    """
    tasks: dict[str, RoutingTaskFile] = {}
    for where, values in read_task_values(task_folders(include), ROUTING):
        task = _read(values, where)
        if task.name in tasks:
            raise UserError(f"{where}: a task {task.name!r} exists already; give it another name")
        tasks[task.name] = task
    return tasks


def _read(values: dict[str, Any], where: str) -> RoutingTaskFile:
    own = {name: values[name] for name in ("name", "description", "groups") if name in values}
    terms = {name: value for name, value in values.items() if name not in (*own, "kind")}
    for name in ("corpora", "unseen"):
        if isinstance(terms.get(name), list):
            try:
                terms[name] = expand([str(corpus) for corpus in terms[name]])
            except UserError as error:
                raise UserError(f"{where}: {name}: {error}") from None
    return RoutingTaskFile.read({**own, "terms": RoutingTask.read(terms, where)}, where)
