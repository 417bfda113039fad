"""Ways that run in a process of their own, as they would without ours.

A training run changes its whole process: the C library keeps what is freed. A yardstick that
shared the process would profit from it.
"""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any

import torch

from data_shards.errors import UserError
from launchers.benchmarks.timing import Way


@contextmanager
def in_own_process(make: Callable[..., Way], *arguments: Any) -> Iterator[Way]:
    """A way that another process makes and, each time it is called, runs once.

    Args:
        make: gives the way; a function of a module, for the other process imports it.
        arguments: of `make`.

    Raises:
        UserError: as raised there.
        RuntimeError: anything else was raised there, or the process was killed.
    """
    # Forked from a process that has imported what most ways need and done nothing else, which
    # saves seconds each; CUDA does not bear it.
    context: SpawnContext | ForkServerContext
    if torch.cuda.is_available():
        context = multiprocessing.get_context("spawn")
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["launchers.benchmarks.network"])
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_serve, args=(theirs, torch.get_num_threads(), make, arguments), daemon=True
    )
    process.start()
    theirs.close()  # so that the end of the other process is the end of the pipe

    def answered(asked: bool = True) -> None:
        try:
            if asked:
                ours.send(None)
            failure = ours.recv()
        except (EOFError, OSError):
            raise RuntimeError(
                f"the process of {make.__name__} ended early: killed for its memory?"
            ) from None
        if failure is not None:
            raise failure

    try:
        answered(asked=False)  # that the way is made
        yield answered
    finally:
        ours.close()
        process.join()


def _serve(
    pipe: Connection, threads: int, make: Callable[..., Way], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits is told, and leaves
    torch.set_num_threads(threads)
    way: Way | None = None
    failure: Exception | None = None
    while failure is None:
        try:
            if way is None:
                way = make(*arguments)
            else:
                way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
        except UserError as error:
            failure = error
        except Exception:  # told to the process that waits for it
            failure = RuntimeError(traceback.format_exc())
        try:
            pipe.send(failure)
            pipe.recv()
        except (EOFError, OSError):  # nobody wants it any more
            return
