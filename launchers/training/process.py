"""Trainings as processes of their own: a command in, a checkpoint folder out."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from data_shards.errors import UserError
from foundation.train.run_folder import model_of


class TrainingFailedError(RuntimeError):
    """A training process ended badly; the message says what it said."""


def module_command(module: str, ranks: int) -> list[str]:
    """The first words of a launcher's command line; DeepSpeed starts ranks if they are several."""
    start = ["-m", module]
    if ranks > 1:
        counted = ["--num_accelerators", str(ranks)]
        start = ["-m", "deepspeed.launcher.runner", *counted, "--module", module]
    return [sys.executable, *start]


def train_in(folder: Path, command: Sequence[str], name: str) -> Path:
    """Train in a folder, what is said going to its `train.log`; gives the checkpoint folder.

    Args:
        folder: made if missing.
        command: with `--output` and this folder.
        name: of the run, for messages.

    Raises:
        UserError: what the process says is the user's to fix.
        TrainingFailedError: it ended in another way without a checkpoint.
    """
    # With this set a training notices the death of this process, and saves.
    return trained(folder, name, lambda log: Processes().run(command, log, LOCAL_SIZE="1"))


def trained(folder: Path, name: str, run: Callable[[Path], int]) -> Path:
    """The checkpoint that a training leaves in its folder.

    Args:
        folder: made if missing.
        name: of the run, for messages.
        run: trains there, what it says going to the end of a file; gives its exit code.

    Raises:
        UserError: what it says is the user's to fix.
        TrainingFailedError: it ended in another way without a checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "train.log"
    code = run(log)
    model = model_of(folder)
    if code == 0 and model is not None:
        return model
    words = log.read_text().strip().splitlines() if log.exists() else []
    last = (words or ["it said nothing"])[-1]
    if code == 2:
        raise UserError(last.removeprefix("error: "))
    raise TrainingFailedError(f"{name} ended with code {code}: {last} (see {log})")


class Processes:
    """Commands at work, so that they can be stopped."""

    def __init__(self) -> None:
        self._stopped = False
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, command: Sequence[str], log: Path, **environment: str) -> int:
        """Exit code of a command; what it says goes to the end of a file."""
        with log.open("a") as said:
            process = subprocess.Popen(
                command, stdout=said, stderr=subprocess.STDOUT, env=os.environ | environment
            )
        self._running.append(process)
        if self._stopped:  # while it was being started
            process.terminate()
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal sends it to both; let it save
            process.wait()
            raise
        finally:
            self._running.remove(process)

    def stop(self) -> None:
        """Ask all to save and leave."""
        self._stopped = True
        for process in list(self._running):
            process.terminate()
