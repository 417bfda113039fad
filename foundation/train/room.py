"""Room for a run: a disk that cannot take a checkpoint is said before anything is computed."""

import os
import shutil
from pathlib import Path

from data_shards.errors import UserError
from foundation.checkpoint.saved import leftovers
from foundation.models.registry import ModelConfig, outline_model

_STATE_BYTES = 12  # of a parameter at least: its value and two moments of float32


def check_folder(folder: Path) -> Path:
    """Refuse a folder that cannot be written, before anything is fetched or computed for it.

    Args:
        folder: to be written; there or not.

    Returns:
        What there is of its path.

    Raises:
        UserError: a file in its place, no permission, or a read-only file system.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{folder}: {there} is a file; give --output the name of a folder")
    if not os.access(there, os.W_OK):
        raise UserError(
            f"{folder}: cannot be written: {there} is read-only or not yours; choose another "
            "--output"
        )
    return there


def check_room(folder: Path, model: ModelConfig) -> None:
    """Refuse a training folder that cannot be written or has no room for one checkpoint.

    Args:
        folder: to train in; there or not.
        model: what is trained.

    Raises:
        UserError: as of `check_folder`, or its disk has too little room.
    """
    there = check_folder(folder)
    old = [path for each in leftovers(folder / "checkpoints") for path in each.rglob("*")]
    free = shutil.disk_usage(there).free + sum(path.stat().st_size for path in old)
    wanted = _STATE_BYTES * outline_model(model).parameter_counts().total
    if free < wanted:
        raise UserError(
            f"{folder}: its disk is too full: {free >> 20} MiB are free, one checkpoint takes at "
            f"least {-(-wanted >> 20)} MiB; make room, or choose another --output"
        )
