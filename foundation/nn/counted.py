"""A bound on a network in the making: a number of parts in, an error at the first one beyond.

A configuration can ask for any number of modules, and building them takes time and memory
even where tensors take none. Which setting asks for them is the network's own business.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from threading import get_ident

from torch.nn.modules import module as hooks


class TooManyPartsError(Exception):
    """A network has more modules, parameters and buffers than was allowed."""


@contextmanager
def at_most(parts: int) -> Iterator[None]:
    """Stop whatever this thread builds inside once it has more parts than that.

    Raises:
        TooManyPartsError: it has.
    """
    made, thread = count(1), get_ident()

    def note(*_: object) -> None:
        if get_ident() == thread and next(made) > parts:
            raise TooManyPartsError(f"more than {parts} modules, parameters and buffers")

    with ExitStack() as registered:
        for register in (
            hooks.register_module_module_registration_hook,
            hooks.register_module_parameter_registration_hook,
            hooks.register_module_buffer_registration_hook,
        ):
            registered.callback(register(note).remove)
        yield
