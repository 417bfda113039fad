"""Room for a run: a disk that cannot take a checkpoint is said before anything is computed."""

import os
import shutil
from pathlib import Path

from data_shards.errors import UserError
from foundation.checkpoint.saved import leftovers
from foundation.models.registry import ModelConfig, outline_model

_STATE_BYTES = 12  # of a parameter at least: its value and two moments of float32


def check_room(folder: Path, model: ModelConfig) -> None:
    """Refuse a training folder that cannot be written or has no room for one checkpoint.

    Args:
        folder: to train in; there or not.
        model: what is trained.

    Raises:
        UserError: no permission, a read-only file system, or too little room on it.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK):
        raise UserError(
            f"{folder}: cannot be written: {there} is read-only or not yours; choose another "
            "--output"
        )
    old = [path for each in leftovers(folder / "checkpoints") for path in each.rglob("*")]
    free = shutil.disk_usage(there).free + sum(path.stat().st_size for path in old)
    wanted = _STATE_BYTES * outline_model(model).parameter_counts().total
    if free < wanted:
        raise UserError(
            f"{folder}: its disk is too full: {free >> 20} MiB are free, one checkpoint takes at "
            f"least {-(-wanted >> 20)} MiB; make room, or choose another --output"
        )
