"""Files and folders appear whole or not at all, whatever happens while they are written.

Content in, or written bit by bit, under a hidden name beside the final one; on the disk, it is
given its name. What is read there is the old or the new, also after a kill or a loss of power.
A process that is killed leaves `.NAME.partial-*`, which the next one to write NAME removes; a
lock, which the system releases with its holder, tells these from what is still being written.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_PARTIAL = ".partial-"
# Not the final name: whoever searches folders for *.json must not find half of one.
_CONTENT, _LOCK = "content", "lock"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file in one step; readers see the old content or the new.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    with new_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A place to write a file to, in any number of steps, by any library.

    Args:
        path: its name, given at the end of the block in place of the file that has it; if the
            block raises, that one stays and what was written goes.

    Raises:
        OSError: it cannot be written.
    """
    with _hidden(path) as partial:
        yield partial
        publish({partial: path})


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which gets its name at the end of the block; see `new_file`.

    Args:
        path: its name; nothing, or an empty folder, may have it.

    Raises:
        OSError: it cannot be written, or a folder that is not empty has its name.
    """
    with _hidden(path) as partial:
        partial.mkdir()
        yield partial
        publish({partial: path})


def publish(finished: Mapping[Path, Path]) -> None:
    """Bring finished files and folders to the disk, and then give them their names, in turn.

    Args:
        finished: where they lie -> their names, on the same file system; a file in the way is
            replaced, a folder only if it is empty.

    Raises:
        OSError: it cannot be done; what was not reached is as it was.
    """
    for partial in finished:
        for part in (partial, *partial.rglob("*")):
            flush(part)
    for partial, path in finished.items():
        os.replace(partial, path)
    for folder in {path.parent for path in finished.values()}:
        flush(folder)


def replace_link(path: Path, target: str) -> None:
    """Make a symbolic link in place of the file or link that may be there.

    Raises:
        OSError: it cannot be made.
    """
    with _hidden(path) as partial:
        partial.symlink_to(target)
        os.replace(partial, path)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk.

    Raises:
        OSError: it is full, or fails.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of a file system that flushes no folders
            raise
    finally:
        os.close(handle)


@contextmanager
def _hidden(path: Path) -> Iterator[Path]:
    """A free name in a hidden folder of our own beside a path; both are gone afterwards."""
    _clear_leftovers(path)
    folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}{_PARTIAL}"))
    try:
        with (folder / _LOCK).open("a") as lock:
            with suppress(OSError):  # a file system without locks: there, leftovers stay
                _hold(lock)
            yield folder / _CONTENT
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear_leftovers(path: Path) -> None:
    """Remove what killed processes have left of a path."""
    for entry in path.parent.iterdir():
        if entry.name.startswith(f".{path.name}{_PARTIAL}"):
            with suppress(OSError):  # still held, or gone by now
                with (entry / _LOCK).open("a") as lock:
                    _hold(lock)
                shutil.rmtree(entry)


def _hold(lock: IO[str]) -> None:
    """Lock a file until it is closed, or refuse at once."""
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
