"""What a device wants: few launches of large operations, or memory passed over once.

A GPU starts every operation by a launch of some microseconds and never wants to wait for a number;
a CPU starts one at next to no cost, but each passes over memory anew.
"""

from torch import Tensor


def in_launches(x: Tensor) -> bool:
    """Whether a tensor lies where operations are launched: anywhere but on a CPU."""
    return not x.is_cpu
