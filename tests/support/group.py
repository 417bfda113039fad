"""Several ranks on this machine: a function in, every rank's result out.

Ranks are forked from a server process that has loaded what they need, a quarter
of a second each, and that never ran a backward pass (autograd does not survive
a fork).
"""

import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import socket
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

_TIMEOUT_S = 240
_CONTEXT = multiprocessing.get_context("forkserver")


def on_ranks(world: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    """Call `function(*args)` on every rank of a fresh group.

    Returns:
        What each rank returned, in rank order.

    Raises:
        AssertionError: a rank failed; the message holds its traceback.
    """
    port = _free_port()
    _start_server()
    pipes = [_CONTEXT.Pipe(duplex=False) for _ in range(world)]
    processes = [
        _CONTEXT.Process(target=_enter, args=(rank, world, port, pipes[rank][1], function, args))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    for _, sender in pipes:
        sender.close()
    try:
        return [_received(rank, receiver) for rank, (receiver, _) in enumerate(pipes)]
    finally:
        for process in processes:
            process.join(5)
            process.kill()


def exit_codes_on_ranks(world: int, function: Callable[..., Any], *args: Any) -> list[int | None]:
    """Call `function(*args)` on every rank and give the processes' exit codes only."""
    port = _free_port()
    _start_server()
    processes = [
        _CONTEXT.Process(target=_enter, args=(rank, world, port, None, function, args))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_TIMEOUT_S)
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


def _start_server() -> None:
    """With this folder on its path, which Python's server does not take over."""
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    folders += filter(None, [os.environ.get("PYTHONPATH")])
    _CONTEXT.set_forkserver_preload(["preloaded"])
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(folders)):
        multiprocessing.forkserver.ensure_running()


def _received(rank: int, receiver: Any) -> Any:
    assert receiver.poll(_TIMEOUT_S), f"rank {rank} said nothing for {_TIMEOUT_S} s"
    try:
        good, value = pickle.loads(receiver.recv_bytes())
    except EOFError:
        raise AssertionError(f"rank {rank} died without a word") from None
    assert good, f"rank {rank} failed:\n{value}"
    return value


def _enter(rank: int, world: int, port: int, sender: Any, function: Any, args: Any) -> None:
    import torch

    importlib.import_module("preloaded")  # it is, unless the bench started the server
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    # DeepSpeed 0.19 under torch 2.13: renamed collectives, and a hook torch warns of.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        LOCAL_SIZE=str(os.cpu_count()),  # one thread per rank
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    try:
        result = (True, function(*args))
    except BaseException:
        result = (False, traceback.format_exc())
    if sender is not None:
        # By value: torch would share memory with a process that is about to end.
        sender.send_bytes(pickle.dumps(result))
    elif not result[0]:
        raise SystemExit(70)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
