"""A bound on a network in the making: a number of parts in, an error at the first one beyond.

A configuration can ask for any number of modules, and building them takes time and memory
even where tensors take none. Which setting asks for them is the network's own business.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import local

from torch.nn.modules import module as hooks

_bounds = local()  # of each thread


class TooManyPartsError(Exception):
    """A network has more modules, parameters and buffers than was allowed."""


@contextmanager
def at_most(parts: int) -> Iterator[None]:
    """Stop whatever this thread builds inside once it has more parts than that.

    Raises:
        TooManyPartsError: it has.
    """
    made = 0

    def note(number: int) -> None:
        nonlocal made
        made += number
        if made > parts:
            raise TooManyPartsError(f"more than {parts} modules, parameters and buffers")

    def note_one(*_: object) -> None:
        if note in _notes():
            note(1)

    with ExitStack() as registered:
        before = _notes()
        _bounds.notes = [*before, note]
        registered.callback(setattr, _bounds, "notes", before)
        for register in (
            hooks.register_module_module_registration_hook,
            hooks.register_module_parameter_registration_hook,
            hooks.register_module_buffer_registration_hook,
        ):
            registered.callback(register(note_one).remove)
        yield


def note_parts(number: int) -> None:
    """Count what will be told apart in state dicts, though it is one part in memory."""
    for note in _notes():
        note(number)


def _notes() -> list[Callable[[int], None]]:
    notes: list[Callable[[int], None]] = getattr(_bounds, "notes", [])
    return notes
