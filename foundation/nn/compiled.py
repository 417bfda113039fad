"""torch's compiler: a network in, the same network compiled as it is called.

In mode `reduce-overhead` a GPU replays what was compiled as CUDA graphs, one launch for hundreds; a
CPU has none, and compiles as by default. What breaks them is what leaves the graph: the exchange of
expert parallelism, whose sizes are of the moment, and whatever asks the host. This is written from
torch's documentation; no GPU has run it yet.
"""

import os
import shutil
from typing import Literal

import torch
from torch import nn

from data_shards.errors import UserError

_REPLAYS = (9, 0)  # compute capability; before it torch's grouped product asks the host for sizes


Mode = Literal["default", "reduce-overhead"]


def compile_network(network: nn.Module, mode: Mode = "default") -> None:
    """Compile a network, in place; its first calls take a minute or two.

    Args:
        network: with weights of their last type, on their last device; a network that is to be
            trained may still change both.
        mode: of torch's compiler.

    Raises:
        UserError: there is no C++ compiler.
    """
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        raise UserError(
            f"compiling needs a C++ compiler and {compiler} is not there; install it or set CXX"
        )
    network.compile(mode=mode)


def replayed_where_it_can_be(network: nn.Module) -> Mode:
    """The mode of forward passes: CUDA graphs in float32 on a GPU, in bfloat16 on one of compute
    capability 9 or more."""
    weight = next(network.parameters())
    if not weight.is_cuda:
        return "default"
    rounded = weight.dtype == torch.bfloat16
    if rounded and torch.cuda.get_device_capability(weight.device) < _REPLAYS:
        return "default"
    return "reduce-overhead"
