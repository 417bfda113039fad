"""Workers from outside: runs in, exit codes out, several at a time and each in a fresh process.

A worker is started when it is first needed and serves until the end; see `worker`.
"""

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from launchers.training.process import TrainingFailedError
from launchers.training.worker import Request


class Workers:
    """At most so many runs at a time; `train` may be called from as many threads."""

    def __init__(self, count: int) -> None:
        self._all = [_Worker() for _ in range(count)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)

    def train(self, module: str, arguments: Sequence[str], log: Path, **environment: str) -> int:
        """Run a launcher's `main`, what it says going to the end of a file; gives its exit code.

        Raises:
            TrainingFailedError: the worker died.
        """
        worker = self._idle.get()
        try:
            return worker.train(Request(module, list(arguments), str(log), environment))
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Ask all runs at work to save and leave, and begin no other."""
        for worker in self._all:
            worker.stop()

    def close(self) -> None:
        """Let the workers go once their runs have ended."""
        for worker in self._all:
            worker.close()


class _Worker:
    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def train(self, request: Request) -> int:
        process = self._process = self._process or self._started()
        if self._stopped:  # while it was being started
            process.terminate()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(request)) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())
        except (OSError, ValueError):
            code = process.wait()
            raise TrainingFailedError(
                f"a worker of trainings ended with code {code}: {self._last_words()}"
            ) from None

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None:
            self._process.terminate()

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # of one that died
                self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._said.close()

    def _started(self) -> "subprocess.Popen[str]":
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the worker
        return subprocess.Popen(
            [sys.executable, "-m", "launchers.training.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def _last_words(self) -> str:
        self._said.seek(0)
        return (self._said.read().strip().splitlines() or ["it said nothing"])[-1]
