"""One writer per training folder: a lock that lives as long as its holder, and no longer.

The lock is the system's own, of the process and not of a file's being there, so that a crash leaves
none behind. Forked children (a loader's workers, which outlive a killed trainer by seconds) do not
hold it: `lockf`, not `flock`. The file that it is on tells who holds it.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from data_shards.errors import UserError

LOCK = ".lock"


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a training folder for oneself.

    Args:
        folder: made if missing; if the block refuses to write there, it is no more.

    Raises:
        UserError: another process holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error}); choose another --output") from None
    with lock:
        _hold(lock, folder)
        try:
            yield
        except UserError:
            with suppress(FileNotFoundError):  # a folder that was removed under its run
                if [path.name for path in folder.iterdir()] == [LOCK]:
                    (folder / LOCK).unlink()
                    folder.rmdir()
            raise


def _hold(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # which of them is the system's choice
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        raise UserError(
            f"{folder}: {holder} is training there; wait for it, stop it, or choose another "
            "--output"
        ) from None
    except OSError:  # a file system without locks
        return
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    lock.flush()
