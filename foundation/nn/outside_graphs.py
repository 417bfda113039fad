"""What a compiled network calls as it is: sizes of the moment, and what is kept by values.

torch's own decorator imports all of its compiler where it is used, which takes seconds that most
commands have no use for; torch's for its own modules does so at the first call, and this one when
a graph is made.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch._compile import _disable_dynamo

Function = TypeVar("Function", bound=Callable[..., Any])


def outside_graphs(function: Function) -> Function:
    """A function that no graph takes in."""
    apart = _disable_dynamo(function)

    @functools.wraps(function)
    def called(*arguments: Any) -> Any:
        return (apart if torch.compiler.is_compiling() else function)(*arguments)

    return called  # type: ignore[return-value]
