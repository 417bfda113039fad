"""A process that trains one run after another: requests on standard input, exit codes out.

    {"module": "launchers.finetune", "arguments": [...], "log": "train.log", "environment": {}}

Importing torch and DeepSpeed takes longer than a small run. They are imported here once, and
every run is a fork of this process: DeepSpeed keeps groups, hooks and signal handlers for the life
of a process, and memory goes back for certain. What a run had to import on its way the next ones
find. Nothing is computed here: neither threads nor autograd nor CUDA survive a fork. Where runs
take a GPU, which an import may touch, each is a process from the start.
"""

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkProcess, SpawnContext, SpawnProcess

INTERRUPTED = 130


@dataclass(frozen=True)
class Request:
    """A run to train.

    Attributes:
        module: has `main(arguments)`, which gives an exit code.
        arguments: of its command line.
        log: file that takes what it says, at its end.
        environment: variables that it sees besides.
    """

    module: str
    arguments: list[str]
    log: str
    environment: dict[str, str]


class Worker:
    """Trains in forks of this process, one at a time."""

    def __init__(self) -> None:
        self._stopped = False
        self._child: ForkProcess | SpawnProcess | None = None

    def stop(self, *_: object) -> None:
        """Ask the run at work to save and leave, and begin no other; a signal's handler."""
        self._stopped = True
        if self._child is not None:
            self._child.terminate()

    def train(self, request: Request) -> int:
        """Exit code of a run; negative if a signal ended it."""
        if self._stopped:
            return INTERRUPTED
        _import([request.module])
        processes = _processes()
        receiver, sender = processes.Pipe(duplex=False)
        child = processes.Process(target=_train, args=(request, sender))
        # The child must not hear a signal before it has handlers of its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        child.start()
        self._child = child
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        sender.close()
        with contextlib.suppress(EOFError):  # of a run that ended badly
            _import(receiver.recv())
        child.join()
        self._child = None
        assert child.exitcode is not None, "it was joined"
        return child.exitcode


def main() -> int:
    """Train what is asked for until there are no more requests."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports print is no answer
    # A terminal interrupts all its processes; the runs save, and who asked for them ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker()
    signal.signal(signal.SIGTERM, worker.stop)
    for line in sys.stdin:
        code = worker.train(Request(**json.loads(line)))
        print(code, file=answers, flush=True)
    return 0


def _train(request: Request, sender: Connection) -> None:
    """In the run's own process: as if the module had been started by itself."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    with open(request.log, "a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(request.environment)
    code = importlib.import_module(request.module).main(request.arguments)
    sender.send(sorted(sys.modules))
    sys.exit(code)


def _processes() -> ForkContext | SpawnContext:
    """How a run's process begins: by a fork unless it is to take a GPU."""
    torch = sys.modules.get("torch")
    takes_gpu = torch and os.environ.get("DS_ACCELERATOR") != "cpu" and torch.cuda.device_count()
    if takes_gpu:
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("fork")


def _import(names: Iterable[str]) -> None:
    """Bring modules into this process; those that cannot be are the runs' to complain about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            if name not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
