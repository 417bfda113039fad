"""What lies in a training folder's `checkpoints/`: names in, whole checkpoints out.

Read without DeepSpeed and without a process group; `store` writes it.
"""

import json
import warnings
from pathlib import Path

from data_shards.config import Config
from data_shards.errors import UserError
from foundation.parallel.layout import Layout

MANIFEST = "checkpoint.json"


class Checkpoint(Config):
    """What `checkpoint.json` says."""

    step: int  # optimiser steps taken
    samples: int  # of the stream, consumed over all ranks
    layout: Layout
    files: dict[str, int]  # name: bytes


def newest_checkpoint(folder: Path) -> tuple[str, Checkpoint] | None:
    """Tag and manifest of the newest checkpoint whose files are all there, if any.

    A damaged one is passed over with a warning.

    Raises:
        UserError: there are checkpoints and all of them are damaged.
    """
    faults = []
    for tag in reversed(tags_of(folder)):
        fault = fault_of(folder / tag)
        if fault is None:
            return tag, read_manifest(folder / tag)
        faults.append(fault)
        warnings.warn(f"passed over: {fault}", stacklevel=2)
    if faults:
        raise UserError(
            f"{folder}: no good checkpoint among {len(faults)}; the newest: {faults[0]}; "
            "restore its files, or remove the folder to start anew"
        )
    return None


def tags_of(folder: Path) -> list[str]:
    """Names of all checkpoints, the oldest first."""
    return sorted(path.name for path in folder.glob("step-*") if path.is_dir())


def read_manifest(checkpoint: Path) -> Checkpoint:
    """The manifest of a checkpoint whose files all have their size.

    Raises:
        UserError: the manifest or a file is missing, or a size differs.
    """
    path = checkpoint / MANIFEST
    try:
        manifest = Checkpoint.read(json.loads(path.read_text()), str(path))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no readable manifest ({error})") from None
    for name, size in manifest.files.items():
        file = checkpoint / name
        came = file.stat().st_size if file.is_file() else "missing"
        if came != size:
            raise UserError(f"{file}: {came}, its manifest says {size} bytes")
    return manifest


def fault_of(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, None if nothing is."""
    try:
        read_manifest(checkpoint)
    except UserError as error:
        return str(error)
    return None
