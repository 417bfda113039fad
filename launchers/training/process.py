"""Trainings as processes of their own: a command in, a checkpoint folder out.

DeepSpeed keeps groups, hooks and signal handlers for the life of a process, and memory goes
back for certain; a run costs some seconds of start-up and can have several ranks.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_shards.errors import UserError


class TrainingFailedError(RuntimeError):
    """A training process ended badly; the message says what it said."""


def module_command(module: str, ranks: int) -> list[str]:
    """The first words of a launcher's command line; DeepSpeed starts ranks if they are several."""
    start = ["-m", module]
    if ranks > 1:
        counted = ["--num_accelerators", str(ranks)]
        start = ["-m", "deepspeed.launcher.runner", *counted, "--module", module]
    return [sys.executable, *start]


def resuming(folder: Path) -> list[str]:
    """The option to go on, where a training folder holds a run already."""
    return ["--resume"] if (folder / "config.yaml").exists() else []


def train_in(folder: Path, command: Sequence[str], name: str, beside: int = 1) -> Path:
    """Train in a folder, what is said going to its `train.log`; gives the checkpoint folder.

    Args:
        folder: made if missing.
        command: with `--output` and this folder.
        name: of the run, for messages.
        beside: how many such processes share this machine's cores.

    Raises:
        UserError: what the process says is the user's to mend.
        TrainingFailedError: it ended in another way without a checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "train.log"
    with log.open("a") as said:
        code = _wait(command, said, beside)
    model = folder / "model"
    if code == 0 and (model / "config.json").is_file():
        return model
    last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1]
    if code == 2:
        raise UserError(last.removeprefix("error: "))
    raise TrainingFailedError(f"{name} ended with code {code}: {last} (see {log})")


def _wait(command: Sequence[str], said: Any, beside: int) -> int:
    """Run a training; when interrupted, let it save before leaving."""
    # With this set a training takes its share of the cores, notices the death of this
    # process, and saves.
    environment = os.environ | {"LOCAL_SIZE": str(beside)}
    process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal sends it to both
        process.wait()
        raise
