"""How the inner loops are compiled: once, kept on disk, one thread, division by zero as IEEE."""

from collections.abc import Callable
from typing import TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a loop exactly as written."""
    compiled: Function = njit(cache=True, error_model="numpy")(function)
    return compiled


def fast_kernel(function: Function) -> Function:
    """Compile a loop whose sums may be reordered; not for code that looks at NaN."""
    compiled: Function = njit(cache=True, error_model="numpy", fastmath=True)(function)
    return compiled
