"""torch's compiler: a network in, the same network compiled as it is called; and what stays out.

Replaying as a CUDA graph is written from torch's documentation; no GPU has run it yet.
"""

import functools
import os
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from data_shards.errors import UserError

Function = TypeVar("Function", bound=Callable[..., Any])

_REPLAYS = (9, 0)  # compute capability; before it torch's grouped product asks the host for sizes


def uncompiled(function: Function) -> Function:
    """A function that no graph takes in, as by `torch.compiler.disable`.

    That imports the compiler at once, two seconds of every command; here it is left alone until
    something is compiled.
    """
    apart = torch._disable_dynamo(function)

    @functools.wraps(function)
    def called(*arguments: Any) -> Any:
        return (apart if torch.compiler.is_compiling() else function)(*arguments)

    return called  # type: ignore[return-value]


def compile_network(network: nn.Module, *, replayed: bool = False) -> None:
    """Compile a network, in place; its first calls take a minute or two.

    Args:
        network: with weights of their last type, on their last device.
        replayed: as a CUDA graph where that can be, which is in bfloat16 on a GPU of compute
            capability 9 or more; for forward passes alone.

    Raises:
        UserError: there is no C++ compiler.
    """
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        raise UserError(
            f"compiling needs a C++ compiler and {compiler} is not there; install it or set CXX"
        )
    weight = next(network.parameters())
    network.compile(mode="reduce-overhead" if replayed and _can_replay(weight) else "default")


def _can_replay(weight: torch.Tensor) -> bool:
    return (
        weight.is_cuda
        and weight.dtype == torch.bfloat16
        and torch.cuda.get_device_capability(weight.device) >= _REPLAYS
    )
