"""What a compiled network calls as it is: sizes of the moment, and what is kept by values."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch._compile import _disable_dynamo

Function = TypeVar("Function", bound=Callable[..., Any])


def outside_graphs(function: Function) -> Function:
    """A function that no graph takes in, as by `torch.compiler.disable`.

    That imports the compiler at once, two seconds of every command; here it is left alone until
    something is compiled.
    """
    apart = _disable_dynamo(function)

    @functools.wraps(function)
    def called(*arguments: Any) -> Any:
        return (apart if torch.compiler.is_compiling() else function)(*arguments)

    return called  # type: ignore[return-value]
