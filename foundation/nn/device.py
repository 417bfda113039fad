"""What a device wants: few launches of large operations, or memory passed over once.

A GPU starts every operation by a launch of some microseconds and never wants to wait for a number;
a CPU starts one at next to no cost, but each passes over memory anew.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_BLACKWELL = 10  # first number of its compute capability
_AMPERE = 8  # likewise: the first that has TF32


def in_launches(x: Tensor) -> bool:
    """Whether a tensor lies where operations are launched: anywhere but on a CPU."""
    return not x.is_cpu


def fills_empty_groups(x: Tensor) -> bool:
    """Whether a grouped product's gradient is zero where a group has no rows.

    On Blackwell it may be what memory held before (torch's issue 172439).
    """
    return not x.is_cuda or torch.cuda.get_device_capability(x.device)[0] < _BLACKWELL


@contextmanager
def float32_products(*, rounded: bool = False) -> Iterator[None]:
    """How a GPU multiplies in float32 until the end of the block, in this process.

    Args:
        rounded: what is multiplied, to TF32's 10 bits of mantissa; by default nothing is, whatever
            torch does by default (of convolutions it rounds) and its environment asks for.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def rounds_to_tf32(device: torch.device) -> bool:
    """Whether a device can; on others `float32_products(rounded=True)` rounds nothing."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= _AMPERE


def compute_deterministically() -> None:
    """From now on the same bits in every run on one device; an operation that cannot is an error.

    Before anything runs on a GPU, whose products then keep one workspace each.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # What is uninitialised is written before it is read.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
