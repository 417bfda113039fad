"""Ways that run in a process of their own, as they would without ours.

A training run changes its whole process: the C library keeps what is freed. A yardstick that
shared the process would profit from it.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import multiprocessing

from data_shards.errors import UserError
from launchers.benchmarks.timing import Way


@contextmanager
def beside(make: Callable[..., Way], *arguments: Any) -> Iterator[Way]:
    """A way that another process makes and, each time it is called, runs once.

    Args:
        make: gives the way; a function of a module, for the other process imports it.
        arguments: of `make`.

    Raises:
        UserError: the other process was killed.
        Exception: whatever making or running the way raised there.
    """
    # Forked from a process that has imported torch and done nothing else.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["launchers.benchmarks.network"])
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_serve, args=(theirs, torch.get_num_threads(), make, arguments), daemon=True
    )
    process.start()
    theirs.close()  # so that the end of the other process is the end of the pipe

    def way() -> None:
        ours.send(None)
        _await(ours)

    try:
        _await(ours)
        yield way
    finally:
        ours.close()
        process.join()


def _await(pipe: Connection) -> None:
    try:
        failure = pipe.recv()
    except EOFError:
        raise UserError(
            "the process of a yardstick ended early: killed for its memory? its own words, if any, "
            "stand above"
        ) from None
    if failure is not None:
        raise failure


def _serve(
    pipe: Connection, threads: int, make: Callable[..., Way], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits is told, and leaves
    torch.set_num_threads(threads)
    way: Way | None = None
    while True:
        try:
            if way is None:
                way = make(*arguments)
            else:
                way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            pipe.send(None)
        except Exception as error:  # told to the process that waits for it
            pipe.send(error)
            return
        try:
            pipe.recv()
        except EOFError:  # nobody wants it any more
            return
