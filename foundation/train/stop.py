"""A polite stop: SIGTERM and Ctrl-C ask the loop to save and leave; a second Ctrl-C insists."""

import signal
from types import FrameType


class StopRequest:
    """True once the process was asked to stop. Installs the handlers."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def __bool__(self) -> bool:
        return self.asked

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
