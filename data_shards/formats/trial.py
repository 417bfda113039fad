"""Files of HDF5 on trial: read first by a process that may die of it.

The HDF5 library crashes, or never ends, on one in a hundred files whose bytes somebody has changed.
So a small helper, started once, forks a child per file that looks at every object and at the first
numbers. If it ends, the file is opened here, and says itself what is wrong with it. Numbers beyond
those are read here alone; `simulation_file.apart` reads files of others elsewhere altogether.

Run as a program it is the helper: a path in JSON per line in, a word per line out.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import h5py

_SECONDS = 10  # of a trial; whatever is still being looked at is as whole as could be seen
_BYTES = 64 << 20  # of numbers that are read
_OBJECTS, _DEPTH = 10_000, 32  # looked at; who opens the file refuses more
_SURVIVED, _DIED, _HUNG = "survived", "died", "hung"


class _Helper:
    """The process, from its first file to the end of this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0  # a fork must not share its parent's

    def ask(self, path: Path) -> str:
        """How a trial ended."""
        with self._lock:
            return self._asked(path)

    def _asked(self, path: Path) -> str:
        if self._process is not None and self._process.poll() is not None:  # somebody ended it
            self.close()
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(str(path.absolute())) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        assert answer in (_SURVIVED, _DIED, _HUNG), answer
        return answer

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None or self._owner != os.getpid():
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            atexit.register(self.close)
        return self._process

    def close(self) -> None:
        """Let the process go."""
        if self._process is not None and self._owner == os.getpid():
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


_HELPER = _Helper()


def fault_of(path: Path) -> str | None:
    """What a file does to the library, in words; None if it can be opened.

    Args:
        path: of a plain file.
    """
    answer = _HELPER.ask(path)
    if answer == _DIED:
        return "it brings the HDF5 library down"
    return "the HDF5 library finds no end in it" if answer == _HUNG else None


def _serve() -> None:
    """Body of the helper."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which closes our input
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _try(json.loads(line))
        status = os.waitpid(child, 0)[1]
        hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
        print(_HUNG if hung else _DIED if status else _SURVIVED, flush=True)


def _try(path: str) -> None:
    """Body of a child: ends with 0 unless the library ends it."""
    signal.alarm(_SECONDS)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    with contextlib.suppress(Exception), h5py.File(path, "r", locking="best-effort") as file:
        _look(file)
    os._exit(0)


def _look(file: h5py.File) -> None:
    """At every object, as readers do; what they are told in an exception is theirs to say."""
    seen, left = 0, _BYTES
    dict(file.attrs)

    def visit(name: bytes) -> bool | None:
        nonlocal seen, left
        seen += 1
        if seen > _OBJECTS or name.count(b"/") >= _DEPTH:
            return True
        with contextlib.suppress(Exception):
            node = file[name]
            with contextlib.suppress(Exception):
                dict(node.attrs)
            if isinstance(node, h5py.Dataset):
                left -= _read(node, left)
        return None

    for order in (h5py.h5.INDEX_NAME, h5py.h5.INDEX_CRT_ORDER):
        with contextlib.suppress(Exception):
            h5py.h5o.visit(file.id, visit, idx_type=order)


def _read(node: h5py.Dataset, most: int) -> int:
    """Look at a dataset, and read it if it is small enough and of this file; bytes read."""
    with contextlib.suppress(Exception):
        for dimension in node.dims:
            dimension.values()
    size = node.size * node.dtype.itemsize if node.shape is not None else 0
    if size > most or node.external or node.is_virtual:
        return 0
    node[()]
    return int(size)


if __name__ == "__main__":
    _serve()
