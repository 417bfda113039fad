"""A polite stop: what asks a run to leave, from the first moment of its process.

SIGTERM, Ctrl-C (a second one insists), or the death of a launcher: on one node `deepspeed` forwards
no signal, it dies alone and leaves its ranks behind. As long as there is nothing to save (imports,
checksums, waiting for other ranks) the process leaves at once; from the making of a `StopRequest`
on, its owner saves and leaves.

A thread listens: the main one may be in a collective or an import, where Python answers no signal.
Nothing here takes long to import, so that a launcher listens before it imports torch.
"""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

TERMINATED = 128 + signal.SIGTERM  # as 130 is of an interrupt
_LOST = 1
_ENDED = b"\0"  # is no signal's number
_DEEPSPEEDS = (b"deepspeed", b"deepspeed.launcher.runner", b"deepspeed.launcher.launch")
_REAPERS = ("systemd", "init", "tini", "dumb-init")  # adopt whose parent has died, as process 1


class StopRequest:
    """True once the process was asked to stop, which its owner then does. Installs the handlers."""

    def __init__(self) -> None:
        self.asked = False
        self._listener = _listening()
        self._listener.saves = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def __bool__(self) -> bool:
        return self.asked or self._listener.asked

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


def listen() -> None:
    """Listen from now on, if this process does not do so already; before torch is imported."""
    # Its twenty lines on every connection that is lost would bury ours.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    _listening()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Listen in this block, or go on doing so."""
    begun = _listener is None or _listener.process != os.getpid()
    listener = _listening()
    try:
        yield
    finally:
        if begun:
            listener.close()


class _Listener:
    """Hears SIGTERM and the death of a launcher in a thread of its own."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.asked = False
        self.saves = False  # whether somebody saves who sees that it is asked for
        self._launchers = _launchers()
        self._watched = [_Watched(pid) for pid in self._launchers if pid > 1]
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # A signal's number comes through the pipe whatever the main thread does, if it is handled.
        self._before = signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        if _died_before(self._launchers):
            self._ask("the launcher is gone", _LOST)
        self._thread = threading.Thread(target=self._hear, name="stop", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer signals as before."""
        global _listener
        _listener = None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, self._before)
        os.write(self._writer, _ENDED)
        self._thread.join()
        for descriptor in (self._reader, self._writer):
            os.close(descriptor)
        for watched in self._watched:
            watched.close()

    def _hear(self) -> None:
        while True:
            ends = [watched.end for watched in self._watched if watched.end is not None]
            ready, _, _ = select.select([self._reader, *ends], [], [], 1.0)
            heard = os.read(self._reader, 64) if self._reader in ready else b""
            if _ENDED[0] in heard:
                return
            if signal.SIGTERM in heard:
                self._ask("terminated", TERMINATED)
            if self._watched and (_launchers() != self._launchers or set(ends) & set(ready)):
                self._end_runner()
                for watched in self._watched:
                    watched.close()
                self._watched = []
                self._ask("the launcher is gone", _LOST)

    def _end_runner(self) -> None:
        """If what it has started was killed, `deepspeed` would end with code 0: not so here."""
        if len(self._watched) == 2 and self._watched[0].ended():
            self._watched[1].terminate_deepspeed()

    def _ask(self, why: str, code: int) -> None:
        self.asked = True
        if self.saves:
            return
        if os.environ.get("LOCAL_RANK", "0") == "0":
            line = f"stopped: {why} before the first step: nothing to save\n"
            with contextlib.suppress(OSError):
                os.write(2, line.encode())
        os._exit(code)


class _Watched:
    """A process that is not ours; by a descriptor that no other process can come to be known by."""

    def __init__(self, pid: int) -> None:
        self.end: int | None = None  # readable once it has ended
        self._deepspeeds = _is_deepspeeds(pid)
        with contextlib.suppress(OSError, AttributeError):  # Linux before 5.3
            self.end = os.pidfd_open(pid)

    def ended(self) -> bool:
        return self.end is not None and bool(select.select([self.end], [], [], 0)[0])

    def terminate_deepspeed(self) -> None:
        if self._deepspeeds and self.end is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.end, signal.SIGTERM)

    def close(self) -> None:
        if self.end is not None:
            os.close(self.end)


_listener: _Listener | None = None


def _listening() -> _Listener:
    global _listener
    if _listener is None or _listener.process != os.getpid():  # a fork inherits no thread
        _listener = _Listener()
    return _listener


def _launchers() -> tuple[int, ...]:
    """Parent and its parent, which change when one of them dies; none without DeepSpeed's."""
    parent = os.getppid()
    if "LOCAL_SIZE" not in os.environ or not Path("/proc/self/stat").exists():
        return ()
    try:
        # "pid (name) state ppid ...", and the name may hold anything
        fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return parent, 0
    return parent, int(fields[1])


def _died_before(launchers: tuple[int, ...]) -> bool:
    """Whether one of DeepSpeed's launchers died before this process could look at it."""
    if not launchers or "CROSS_RANK" not in os.environ:  # which DeepSpeed's alone sets
        return False
    one_node = os.environ.get("CROSS_SIZE") == "1"  # else the second one is of ssh, on each node
    return any(_adopts(pid) for pid in (launchers if one_node else launchers[:1]))


def _adopts(pid: int) -> bool:
    """Whether this is what a process gets for a parent when its own has died."""
    if _is_deepspeeds(pid):
        return False
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return True
    return pid <= 1 or name in _REAPERS


def _is_deepspeeds(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(os.path.basename(word) in _DEEPSPEEDS for word in words)
