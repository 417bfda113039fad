"""A polite stop: what asks the loop to save and leave.

SIGTERM, Ctrl-C (a second one insists), or the death of the launcher: on one
node `deepspeed` forwards no signal, it dies alone and leaves its ranks behind.
"""

import os
import signal
from pathlib import Path
from types import FrameType


class StopRequest:
    """True once the process was asked to stop. Installs the handlers."""

    def __init__(self) -> None:
        self.asked = False
        self._launchers = _launchers()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def __bool__(self) -> bool:
        return self.asked or _launchers() != self._launchers

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True


def _launchers() -> tuple[int, int]:
    """Parent and its parent, which change when one of them dies; (0, 0) without DeepSpeed's."""
    parent = os.getppid()
    if "LOCAL_SIZE" not in os.environ or not Path("/proc/self/stat").exists():
        return 0, 0
    try:
        # "pid (name) state ppid ...", and the name may hold anything
        fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return parent, 0
    return parent, int(fields[1])
