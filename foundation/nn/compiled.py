"""torch's compiler: a network in, the same network compiled as it is called.

Replaying as a CUDA graph is written from torch's documentation; no GPU has run it yet.
"""

import os
import shutil

import torch
from torch import nn

from data_shards.errors import UserError

_REPLAYS = (9, 0)  # compute capability; before it torch's grouped product asks the host for sizes


def compile_network(network: nn.Module, *, replayed: bool = False) -> None:
    """Compile a network, in place; its first calls take a minute or two.

    Args:
        network: with weights of their last type, on their last device.
        replayed: as a CUDA graph where that can be, which is in float32 on a GPU, in bfloat16 on
            one of compute capability 9 or more; for forward passes alone.

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
    if not weight.is_cuda:
        return False
    return weight.dtype != torch.bfloat16 or (
        torch.cuda.get_device_capability(weight.device) >= _REPLAYS
    )
