"""Keeps a training going: a launcher's command in, restarts after its deaths, an exit code out.

A restart goes on from the newest checkpoint whose checksums are right, as `--resume` does, after a
pause that doubles as long as nothing new is saved. Two starts in a row without a new checkpoint are
taken for ranks that do not come back: the next one is on fewer, as the batch and the experts allow.

torch's elastic agent does not serve: it starts the same words again at once, a user's error too,
without `--resume`; takes fewer nodes, but never fewer ranks of one; and knows neither experts nor
batches. DeepSpeed had one of its own, built on it, that is gone in 0.19.

A run that stopped itself would do so again: it is started only if its model diverged and the rate
is to be lowered.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from data_shards.errors import UserError
from foundation.checkpoint.saved import tags_of
from foundation.train.config import RunConfig
from foundation.train.run_folder import config_path, read_launch, read_run
from foundation.train.stop import TERMINATED

_SAVING_S = 120.0  # for what an ended launcher has left behind
_LONGEST_PAUSE_S = 600.0
_FRUITLESS = 2  # starts without a new checkpoint, before fewer ranks are tried
_RANKS = ("--num-accelerators", "--num-gpus")
_MEETING = ("--master-port", "--master-addr", "--node-rank", "--no-ssh", "--hostfile")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Command:
    """The command line of a training: `deepspeed --num_gpus 8 launchers/pretrain.py ...`."""

    words: tuple[str, ...]

    @property
    def output(self) -> Path:
        """The training folder.

        Raises:
            UserError: the words name none.
        """
        found = self._place(("--output",))
        if found is None:
            raise UserError("the command has no --output; give that of a training")
        return Path(self._value(found))

    @property
    def ranks(self) -> int | None:
        """On this machine, if the words say how many."""
        found = self._place(_RANKS)
        if found is None:
            return None
        value = self._value(found)
        if not value.isdecimal():
            raise UserError(f"{self.words[found]} {value}: wanted a number of ranks")
        return int(value)

    def resumed(self) -> Self:
        """To go on with what is there, if there is something."""
        if "--resume" in self.words or not config_path(self.output).exists():
            return self
        return type(self)((*self.words, "--resume"))

    def on(self, ranks: int, ep_size: int) -> Self:
        """The same on another number of ranks of one machine."""
        found = self._place(_RANKS)
        assert found is not None, "the number of ranks is among the words"
        words = list(self.words)
        if "=" in words[found]:
            words[found] = f"{words[found].partition('=')[0]}={ranks}"
        else:
            words[found + 1] = str(ranks)
        return type(self)((*words, f"--ep-size={ep_size}"))

    def with_value(self, override: str) -> Self:
        """With a "key.path=value" that takes the place of any before."""
        return type(self)((*self.words, override))

    def at_free_port(self) -> Self:
        """With a port of its own where the ranks of a machine meet, unless the words say where.

        DeepSpeed's is the same for all: another training may have it, or what a killed one left.
        """
        found = self._place(_RANKS)
        if found is None or self._place(_MEETING) is not None:
            return self
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        return type(self)((*self.words[:found], f"--master_port={port}", *self.words[found:]))

    def _place(self, names: Sequence[str]) -> int | None:
        """Where an option of one of these names is, the last one counting."""
        options = [word.partition("=")[0].replace("_", "-") for word in self.words]
        places = [i for i, option in enumerate(options) if option in names]
        return places[-1] if places else None

    def _value(self, place: int) -> str:
        word = self.words[place]
        if "=" in word:
            return word.partition("=")[2]
        if place + 1 == len(self.words):
            raise UserError(f"{word} has no value")
        return self.words[place + 1]


class Supervisor:
    """Starts a command, and starts it again as long as its run is not finished."""

    def __init__(
        self,
        command: Command,
        restarts: int,
        pause_s: float,
        lower_rate: float = 1.0,
        said: IO[str] | None = None,
        tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        """Nothing is started yet.

        Args:
            command: of a training.
            restarts: in a row, without a new checkpoint.
            pause_s: seconds before the first of them; twice as many before every other.
            lower_rate: factor of the learning rate after a run diverged; 1: no other start.
            said: file for what the command says; it says it where we do by default.
            tell: takes our own lines.
        """
        self.command, self._restarts, self._pause_s = command, restarts, pause_s
        self._lower_rate, self._lowered = lower_rate, 0
        self._said, self._tell = said, tell
        self.process: subprocess.Popen[bytes] | None = None  # at work
        self.starts = 0
        self._asked = threading.Event()

    def run(self) -> int:
        """Train to the end; gives the exit code of what ended last, 0 only for a finished run.

        A run that saved because `stop` asked it to is no failure, and gives 0 too.

        Raises:
            UserError: the command names no training folder.
        """
        command, output = self.command, self.command.output
        fruitless = 0
        while True:
            model, newest, lines = _written(output), _newest(output), _lines(output)
            code = self._start(command)
            if self._asked.is_set():
                return 0 if _newest(output) else TERMINATED
            if code == 0 and _written(output) != model:
                return 0
            if code in (2, 126, 127):  # a user's error; no such command
                return code
            fruitless = fruitless + 1 if _newest(output) == newest else 0
            stop = _stop(output) if _lines(output) != lines else None
            if stop is not None:
                if not stop["diverged"] or not self._may_lower():
                    return code
                command = self._slower(command)
                fruitless = 0  # the ranks are well
            if fruitless > self._restarts or not self._restarts:
                ended = f"code {code}" if code else "code 0 and no model"
                self._tell(
                    f"supervisor: given up after {self.starts} start{'s' * (self.starts > 1)}, "
                    f"{ended}, without a new checkpoint in the last {fruitless}; what the training "
                    "said above tells why"
                )
                return code if code > 0 else 1
            command = self._next(command.resumed(), fruitless)
            pause = min(self._pause_s * 2 ** max(fruitless - 1, 0), _LONGEST_PAUSE_S)
            where = f"from {_newest(output)}" if _newest(output) else "from the beginning"
            self._tell(f"supervisor: ended with code {code}; restart {where} in {pause:g} s")
            if self._asked.wait(pause):
                return 0 if _newest(output) else TERMINATED

    def stop(self) -> None:
        """Ask the run to save and leave, and start no other."""
        self._asked.set()
        if self.process is not None:
            _signal(self.process.pid, signal.SIGTERM)

    def _start(self, command: Command) -> int:
        """Exit code of one start, once all that it has started is gone; negative of a signal."""
        try:
            process = subprocess.Popen(
                command.at_free_port().words,
                stdout=self._said,
                stderr=subprocess.STDOUT if self._said else None,
                start_new_session=True,  # its group holds all that it will start
                preexec_fn=_end_with_parent(),
            )
        except OSError as error:
            raise UserError(f"{command.words[0]}: cannot be started ({error.strerror})") from None
        self.starts += 1
        self.process = process
        if self._asked.is_set():  # while it was being started
            _signal(process.pid, signal.SIGTERM)
        code = process.wait()
        _clear(process.pid)
        self.process = None
        return code

    def _may_lower(self) -> bool:
        self._lowered += 1
        return self._lower_rate < 1 and self._lowered <= self._restarts

    def _slower(self, command: Command) -> Command:
        """At a lower rate, from the newest checkpoint, which is from before the run diverged."""
        rate = read_run(command.output).run.optimiser.lr * self._lower_rate
        self._tell(f"supervisor: the run diverged; optimiser.lr={rate:.3g} from now on")
        return command.with_value(f"optimiser.lr={rate!r}")

    def _next(self, command: Command, fruitless: int) -> Command:
        """On fewer ranks, if it seems that some do not come back."""
        ranks = command.ranks
        if fruitless < _FRUITLESS or ranks is None or not config_path(command.output).exists():
            return command
        ep_size = int(read_launch(command.output).get("ep_size", 1))
        fewer = layout_below(read_run(command.output).run, ranks, ep_size)
        if fewer is None:
            return command
        self._tell(
            f"supervisor: {fruitless} starts on {ranks} ranks saved nothing; on {fewer[0]} now, "
            f"--ep-size {fewer[1]}"
        )
        return command.on(*fewer)


def layout_below(run: RunConfig, ranks: int, ep_size: int) -> tuple[int, int] | None:
    """The most ranks below a number that the batch and the experts allow, and their ep_size.

    Args:
        run: resolved.
        ranks: that do not work.
        ep_size: ranks that share one set of experts, at most.
    """
    for fewer in range(ranks - 1, 0, -1):
        for shared in range(min(ep_size, fewer), 0, -1):
            with contextlib.suppress(UserError):
                run.check_ranks(fewer, shared)
                run.step_on(fewer)
                return fewer, shared
    return None


def _newest(output: Path) -> str | None:
    return next(reversed(tags_of(output / "checkpoints")), None)


def _written(output: Path) -> int | None:
    """When the finished model was; the launcher's code alone does not tell that a run is."""
    config = output / "model" / "config.json"
    return config.stat().st_mtime_ns if config.is_file() else None


def _lines(output: Path) -> int | None:
    """When the log was last written."""
    path = output / "metrics.jsonl"
    return path.stat().st_mtime_ns if path.is_file() else None


def _stop(output: Path) -> dict[str, Any] | None:
    """Why the run stopped itself, if that is the last that it has logged."""
    # A log that is gone, or a line that a kill cut short.
    with contextlib.suppress(OSError, ValueError, IndexError):
        row = json.loads((output / "metrics.jsonl").read_text().splitlines()[-1])
        if isinstance(row, dict) and row.get("kind") == "stop":
            return row
    return None


def _clear(group: int) -> None:
    """Let what an ended launcher has left behind save and leave, then end it."""
    if not _signal(group, signal.SIGTERM):
        return
    deadline = time.monotonic() + _SAVING_S
    while time.monotonic() < deadline:
        if not _signal(group, 0):
            return
        time.sleep(0.1)
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether there was somebody to signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_with_parent() -> Callable[[], None] | None:
    """For `preexec_fn`: SIGTERM comes with the death of this process, on Linux."""
    if sys.platform != "linux":
        return None
    control = ctypes.CDLL(None).prctl  # found here: a fork should call as little as it can
    return lambda: control(_DIE_WITH_PARENT, signal.SIGTERM)
