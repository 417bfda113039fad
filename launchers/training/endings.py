"""How a rank ends when others end under it: what torch raises in, one line and an exit code out."""

import os
import sys
import time
from collections.abc import Callable

import torch.distributed as dist

_LINGER_S = 3.0
_WORKER = "DataLoader worker (pid"


def told(run: Callable[[], int]) -> int:
    """Run a rank; if another one or a process that reads ahead is gone, say so in one line.

    Args:
        run: the rank's work; gives an exit code.
    """
    try:
        return run()
    except RuntimeError as error:
        rank = os.environ.get("RANK", "0")
        if _WORKER in str(error):
            print(
                f"stopped: rank {rank}: a process that reads samples ahead is gone; if the system "
                "killed it, memory ran out: lower data.workers; go on with --resume",
                file=sys.stderr,
            )
            return 1
        if not _of_others(error):
            raise
        # Whoever left first has told why, and its exit code is to be the job's.
        time.sleep(_LINGER_S)
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(
                f"stopped: rank {rank}: another rank has left; go on with --resume",
                file=sys.stderr,
            )
        return 1


def _of_others(error: RuntimeError) -> bool:
    """Whether a collective has failed: gloo has no type of error of its own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
