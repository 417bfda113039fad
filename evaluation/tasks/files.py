"""Files of tasks: folders in, plain values of every task and group out.

`NAME.yaml` with a `corpus` is one task. With `corpora`, a list of corpora, groups
of corpora and ladders (`ladders`: all of them), it is a family: one task
NAME_CORPUS for each, with the window of the corpus's card unless it has its own.
`groups.yaml` says what groups of tasks are for and may add tasks and groups to them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_shards.card import CorpusCard
from data_shards.catalogue import expand, ladder_names, load_card
from data_shards.config import Config, read_yaml
from data_shards.errors import UserError

GROUPS = "groups.yaml"
ALL_LADDERS = "ladders"
ROUTING = "routing"  # the kind of task that `evaluation.routing` reads


class TaskGroup(Config):
    """What a group of tasks is for, and members that do not say so themselves."""

    description: str
    tasks: tuple[str, ...] = ()


def read_task_values(
    folders: Sequence[Path], kind: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task of some folders: where it stands, and its values.

    Args:
        folders: of task files.
        kind: `routing` for the routing tasks alone; None for all others.

    Raises:
        UserError: a folder without tasks, a file that is no mapping or not of its own name,
            or a family of corpora that are not known.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no folder; --include takes one with task files (*.yaml)")
        paths = [path for path in sorted(folder.glob("*.yaml")) if path.name != GROUPS]
        if not paths:
            raise UserError(f"{folder}: no task files (*.yaml) in this folder; fix --include")
        for path in paths:
            where = f"task {path.name}"
            values = _mapping(path, where)
            if values.get("name") != path.stem:
                raise UserError(
                    f"{where}: its name says {values.get('name')!r}; rename one of them"
                )
            if kind == ROUTING or values.get("kind") == ROUTING:
                if kind == values.get("kind"):
                    yield where, values
            elif "corpora" in values:
                yield from family(values, where)
            else:
                yield where, values


def family(values: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tasks of a family; corpora that ask other frames are left out, and boxes of a group's.

    Args:
        values: those of a task, with `corpora` in the place of `corpus`.
        where: for messages.

    Raises:
        UserError: a corpus, group or ladder that is not known.
    """
    shared = {key: value for key, value in values.items() if key != "corpora"}
    try:
        corpora = list(dict.fromkeys(_corpora(values["corpora"])))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    asked, named = values.get("asked", "next"), values["corpora"]
    if not any(asked in (load_card(corpus).window, "given") for corpus in corpora):
        raise UserError(
            f"{where}: none of its corpora asks the {asked} frames; say asked: "
            f"{'same' if asked == 'next' else 'next'}"
        )
    for corpus in corpora:
        card = load_card(corpus)
        if asked not in (card.window, "given"):  # a model does either, not both
            continue
        if card.asked_frames == 0 or (len(card.native_grid) == 3 and corpus not in named):
            continue
        window = card_window(card)
        own = {
            "name": f"{values['name']}_{corpus}",
            "corpus": corpus,
            "description": str(values.get("description", "")).replace("CORPUS", card.title),
        }
        yield f"{where} for {corpus}", window | shared | own


def card_window(card: CorpusCard) -> dict[str, Any]:
    """The window of a corpus's own protocol, as values of a task."""
    frames = {"context_frames": card.context_frames, "rollout_frames": card.asked_frames}
    return frames if card.window == "next" else {**frames, "asked": card.window}


def _corpora(names: Any) -> Iterator[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"corpora is {names!r}, wanted a list of corpora, groups and ladders")
    for name in names:
        yield from expand(ladder_names() if name == ALL_LADDERS else [name])


def read_groups(folders: Sequence[Path]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Group -> what it is for, and further members of it.

    Raises:
        UserError: an invalid file.
    """
    groups: dict[str, tuple[str, tuple[str, ...]]] = {}
    for path in (folder / GROUPS for folder in folders):
        if path.exists():
            for name, values in _mapping(path, str(path)).items():
                group = TaskGroup.read(values, f"{path}: {name}")
                groups[name] = (group.description, group.tasks)
    return groups


def _mapping(path: Path, where: str) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise UserError(f"{where}: not a mapping of keys to values")
    return values
