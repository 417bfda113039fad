"""The checkpoints of a training folder: saved whole or not at all, verified when read.

A save writes below a hidden name; when every rank is done, the first one lists
files and sizes in `checkpoint.json`, flushes everything to disk and renames the
folder. So a rank killed in the middle of a save never costs the last good one:
what is not renamed does not count and is cleared by the next run.
"""

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch.distributed as dist

from data_shards.config import Config
from data_shards.errors import UserError
from foundation.parallel.layout import Layout
from foundation.parallel.state import load_state, save_state

_MANIFEST = "checkpoint.json"
_PARTIAL = ".partial-"


class Checkpoint(Config):
    """What `checkpoint.json` says."""

    step: int  # optimiser steps taken
    samples: int  # of the stream, consumed over all ranks
    layout: Layout
    files: dict[str, int]  # name: bytes


class CheckpointStore:
    """Checkpoints `step-00000100` in one folder, the newest few kept."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def newest(self) -> tuple[str, Checkpoint] | None:
        """Tag and manifest of the newest checkpoint whose files are all there, if any.

        A damaged one is passed over with a warning.

        Raises:
            UserError: there are checkpoints and all of them are damaged.
        """
        faults = []
        for tag in reversed(self._tags()):
            fault = _fault(self.folder / tag)
            if fault is None:
                return tag, read_manifest(self.folder / tag)
            faults.append(fault)
            warnings.warn(f"passed over: {fault}", stacklevel=2)
        if faults:
            raise UserError(
                f"{self.folder}: no good checkpoint among {len(faults)}; the newest: {faults[0]}; "
                "restore its files, or remove the folder to start anew"
            )
        return None

    def save(self, engine: Any, step: int, samples: int, layout: Layout) -> Path:
        """Save the state of all ranks; collective.

        Args:
            engine: DeepSpeed engine.
            step: optimiser steps taken.
            samples: samples of the stream consumed over all ranks.
            layout: of this run.

        Returns:
            Folder of the checkpoint.
        """
        final = self.folder / f"step-{step:08d}"
        if dist.get_rank() == 0:
            self._clear_partial()
        dist.barrier()
        save_state(engine, self.folder, f"{_PARTIAL}{final.name}", {})
        if dist.get_rank() == 0:
            partial = self.folder / f"{_PARTIAL}{final.name}"
            sizes = {p.name: p.stat().st_size for p in sorted(partial.iterdir())}
            manifest = Checkpoint(step=step, samples=samples, layout=layout, files=sizes)
            (partial / _MANIFEST).write_text(manifest.model_dump_json(indent=2))
            _flush(partial)
            if final.exists():  # saved before, at the same step
                self._remove(final)
            os.replace(partial, final)
            _flush_entry(self.folder)
            self._retire(final.name)
        dist.barrier()
        return final

    def load(self, engine: Any, tag: str, saved: Checkpoint, layout: Layout) -> None:
        """Restore a checkpoint that `newest` gave, under this run's layout; collective."""
        load_state(engine, self.folder, tag, saved.layout, layout)

    def _retire(self, newest: str) -> None:
        """Remove what is older than the newest few good ones up to the one just saved."""
        older = [tag for tag in self._tags() if tag <= newest]
        good = [tag for tag in older if _fault(self.folder / tag) is None]
        for tag in older:
            if tag not in good[-self.keep :]:
                self._remove(self.folder / tag)

    def _tags(self) -> list[str]:
        return sorted(p.name for p in self.folder.glob("step-*") if p.is_dir())

    def _remove(self, checkpoint: Path) -> None:
        hidden = checkpoint.with_name(f"{_PARTIAL}removed-{checkpoint.name}")
        os.replace(checkpoint, hidden)
        shutil.rmtree(hidden)

    def _clear_partial(self) -> None:
        for leftover in [*self.folder.glob(f"{_PARTIAL}*"), *self.folder.glob(".universal-*")]:
            shutil.rmtree(leftover)


def read_manifest(checkpoint: Path) -> Checkpoint:
    """The manifest of a checkpoint whose files all have their size.

    Raises:
        UserError: the manifest or a file is missing, or a size differs.
    """
    path = checkpoint / _MANIFEST
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


def _fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, None if nothing is."""
    try:
        read_manifest(checkpoint)
    except UserError as error:
        return str(error)
    return None


def _flush(folder: Path) -> None:
    for file in folder.iterdir():
        _flush_entry(file)
    _flush_entry(folder)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
