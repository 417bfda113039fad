"""Read a stranger's file in a process of its own: what it brings down is that process alone.

A few bytes can announce arrays larger than any memory, and libraries of file formats are
known to crash on files made for it. The process has a limit of memory and one of time; its
answer is a `Simulation` or the one line that says why there is none.
"""

import resource
import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from data_shards.errors import UserError
from data_shards.simulation_file.read import Reading, read_simulation
from data_shards.simulation_file.simulation import Simulation

_MEMORY_BYTES = 4 << 30
_SECONDS = 120.0


def read_apart(
    path: Path,
    reading: Reading,
    *,
    memory_bytes: int = _MEMORY_BYTES,
    seconds: float = _SECONDS,
) -> Simulation:
    """Read one run of a file that is not trusted; as `read_simulation` otherwise.

    Args:
        path: of the file.
        reading: what is known of it.
        memory_bytes: of addresses that the reading process may take.
        seconds: that it may take.

    Raises:
        UserError: as `read_simulation`; or it takes too long, too much, or ends in a crash.
    """
    context = get_context("spawn")  # a fork would copy the threads' locks of a server
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(theirs, path, reading, memory_bytes), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise UserError(
                f"{path}: reading it takes longer than {seconds:g} s; give a part of it"
            )
        answer: Simulation | UserError = ours.recv()
    except EOFError:
        raise UserError(
            f"{path}: damaged: it brought its reader down; fetch or write it again"
        ) from None
    finally:
        ours.close()
        process.kill()  # an answer has been taken or is no longer wanted
        process.join()
        process.close()
    if isinstance(answer, UserError):
        raise answer
    return answer


def _read(answers: Connection, path: Path, reading: Reading, memory_bytes: int) -> None:
    """Body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        answers.send(read_simulation(path, reading))
    except UserError as error:
        answers.send(error)
    except MemoryError:
        answers.send(
            UserError(
                f"{path}: takes more than {memory_bytes >> 20} MiB to read; give a part of it"
            )
        )
