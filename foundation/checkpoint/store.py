"""The checkpoints of a training folder: saved whole or not at all, verified when read.

A save writes below a hidden name; when every rank is done, the first one lists
files, sizes and checksums in `checkpoint.json`, flushes everything to disk and renames
the folder. So a rank killed in the middle of a save never costs the last good one:
what is not renamed does not count and is cleared by the next run.
"""

import os
import shutil
from pathlib import Path
from typing import Any

import torch.distributed as dist

from data_shards.atomic import publish
from foundation.checkpoint.saved import (
    MANIFEST,
    PARTIAL,
    Checkpoint,
    fault_of,
    leftovers,
    newest_checkpoint,
    removed,
    tags_of,
)
from foundation.parallel.layout import Layout
from foundation.parallel.state import load_state, save_state


class CheckpointStore:
    """Checkpoints `step-00000100` in one folder, the newest few kept."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
        self._home = _identity(folder.parent)

    def newest(self) -> tuple[str, Checkpoint] | None:
        """Tag and manifest of the newest checkpoint whose files are all there, if any.

        A damaged one is passed over with a warning.

        Raises:
            UserError: there are checkpoints and all of them are damaged.
        """
        return newest_checkpoint(self.folder)

    def save(self, engine: Any, step: int, samples: int, layout: Layout) -> Path:
        """Save the state of all ranks; collective.

        Args:
            engine: DeepSpeed engine.
            step: optimiser steps taken.
            samples: samples of the stream consumed over all ranks.
            layout: of this run.

        Returns:
            Folder of the checkpoint.

        Raises:
            UserError: the training folder was removed since it was opened.
        """
        final = self.folder / f"step-{step:08d}"
        if dist.get_rank() == 0:
            self._check_home()
            self._clear_partial()
        dist.barrier()
        save_state(engine, self.folder, f"{PARTIAL}{final.name}", {})
        if dist.get_rank() == 0:
            partial = self.folder / f"{PARTIAL}{final.name}"
            names = sorted(path.name for path in partial.iterdir())
            manifest = Checkpoint.of(partial, names, step, samples, layout)
            (partial / MANIFEST).write_text(manifest.model_dump_json(indent=2))
            if final.exists():  # saved before, at the same step
                self._remove(final)
            publish({partial: final})
            self._retire(final.name)
        dist.barrier()
        return final

    def load(self, engine: Any, tag: str, saved: Checkpoint, layout: Layout) -> None:
        """Restore a checkpoint that `newest` gave, under this run's layout; collective."""
        load_state(engine, self.folder, tag, saved.layout, layout)

    def _check_home(self) -> None:
        """Nothing is saved beside what else a run needs to go on."""
        home = self.folder.parent
        if self._home is not None and self._home != _identity(home):
            raise removed(home)

    def _retire(self, newest: str) -> None:
        """Remove what is older than the newest few good ones up to the one just saved."""
        older = [tag for tag in tags_of(self.folder) if tag <= newest]
        good = [tag for tag in older if fault_of(self.folder / tag) is None]
        for tag in older:
            if tag not in good[-self.keep :]:
                self._remove(self.folder / tag)

    def _remove(self, checkpoint: Path) -> None:
        hidden = checkpoint.with_name(f"{PARTIAL}removed-{checkpoint.name}")
        os.replace(checkpoint, hidden)
        shutil.rmtree(hidden)

    def _clear_partial(self) -> None:
        for leftover in leftovers(self.folder):
            shutil.rmtree(leftover)


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another one of its name; None where there is none."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
