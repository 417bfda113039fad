"""Freed memory stays with the process: batches, steps, solvers do not fault in their pages anew.

The C library hands every freed block of tens of megabytes back to the system; the next batch,
step of training on CPUs or of a solver then takes a page fault per 4 KiB, which costs more than
filling it (20 s of processor for 34 with a flow in 128^3 cells). Only glibc knows the two
settings; elsewhere this does nothing.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of <malloc.h>
_NEVER = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed for the next allocation of this process.

    Returns:
        Whether it agreed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _NEVER))
