"""Checkpoints on this machine: a folder in, those below it out, without reading any weights."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_shards.errors import UserError
from foundation.checkpoint.files import INDEX, WEIGHTS
from foundation.checkpoint.folder import CONFIG, read_config
from foundation.models.registry import ModelConfig

_DEPTH = 5  # folders below the one that is searched
_MOST_FOLDERS = 50_000  # looked into: somebody may ask about a whole disk


@dataclass(frozen=True)
class Found:
    """A checkpoint folder.

    Attributes:
        folder: of it.
        config: of its network; None if it cannot be read.
        about: where it comes from.
        fault: why it cannot be read, if so.
    """

    folder: Path
    config: ModelConfig | None
    about: dict[str, Any]
    fault: str = ""


def checkpoints_below(folder: Path) -> list[Found]:
    """Checkpoint folders in a folder and below it, by their paths; hidden folders are left out.

    Args:
        folder: where to look, a few levels deep.

    Raises:
        UserError: there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    return [look_at(path) for path in sorted(_candidates(folder))]


def look_at(folder: Path) -> Found:
    """What a checkpoint folder says of itself."""
    try:
        return Found(folder, *read_config(folder))
    except UserError as error:
        return Found(folder, None, {}, str(error))


def _candidates(folder: Path) -> Iterator[Path]:
    top = len(folder.parts)
    for count, (place, below, files) in enumerate(os.walk(folder)):
        path = Path(place)
        if CONFIG in files and {WEIGHTS, INDEX}.intersection(files):
            yield path
        deep = len(path.parts) - top >= _DEPTH
        below[:] = [] if deep else [name for name in below if not name.startswith(".")]
        if count >= _MOST_FOLDERS:
            return
