"""Tensors that follow from sizes alone, such as the matrix of a transform: made once a device.

To a compiled graph they are what is given to it, as weights are: a graph that made them would do so
in every call, on the CPU that they are made on.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def constant(function: FunctionT) -> FunctionT:
    """Mark a function whose value a compiled graph takes as given.

    As `torch.compiler.assume_constant_result` does, which imports all of the compiler: seconds.
    The compiler knows a value by the name of its function and refuses two tensors of one name in
    a graph, so every tensor of a network has a function of its own.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def kept(
    make: Callable[..., Tensor], device: torch.device, dtype: torch.dtype, *sizes: Any
) -> Tensor:
    """`make(*sizes)`, rounded once to a type, on a device; the same tensor at every call.

    To be called by functions that are `constant`.

    Args:
        make: on a CPU, in whatever precision it needs; a function of a module.
        device: where it is wanted.
        dtype: that is wanted.
        sizes: and whatever else it is made of, hashable.
    """
    return _kept(make, device, dtype, sizes)


@lru_cache(maxsize=128)
def _kept(
    make: Callable[..., Tensor], device: torch.device, dtype: torch.dtype, sizes: tuple[Any, ...]
) -> Tensor:
    with torch.inference_mode(False), torch.device("cpu"):  # must serve training, too
        return make(*sizes).to(dtype).contiguous().to(device)
