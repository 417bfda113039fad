"""Processes of tests that are to be interrupted as Ctrl-C does."""

import signal


def heard() -> None:
    """For `preexec_fn`: interrupts reach the process, whoever started the tests.

    A shell starts what runs in the background deaf to them, and so are all its children.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
