"""Ranks: from the launcher's environment to an initialised process group.

DeepSpeed is told here what it must not do on a machine without accelerator:
build an inference-only shared-memory op at start-up (150 s, needs a compiler).
"""

import os
import resource
from dataclasses import dataclass
from datetime import timedelta

import deepspeed
import torch
import torch.distributed as dist
from deepspeed.accelerator import get_accelerator

_HUNG_RANK_TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True)
class Ranks:
    """Where this process stands in the run."""

    rank: int
    world: int
    local_rank: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def join_ranks(timeout: timedelta = _HUNG_RANK_TIMEOUT) -> Ranks:
    """Join the process group that the launcher announced, or make one of one rank.

    Args:
        timeout: after which a rank that waits for a dead one gives up.
    """
    # Its messages of good health bury ours; warnings and errors stay.
    deepspeed.utils.logger.setLevel("WARNING")
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    for name, value in (
        ("RANK", "0"),
        ("WORLD_SIZE", "1"),
        ("LOCAL_RANK", "0"),
        ("MASTER_ADDR", "127.0.0.1"),
        ("MASTER_PORT", "0"),
    ):
        os.environ.setdefault(name, value)
    deepspeed.init_distributed(
        auto_mpi_discovery=False, timeout=timeout, verbose=False, init_method=None
    )
    local_rank = int(os.environ["LOCAL_RANK"])
    accelerator = get_accelerator()
    accelerator.set_device(local_rank)
    device = torch.device(accelerator.device_name(local_rank))
    if device.type == "cpu":
        local_world = int(os.environ.get("LOCAL_SIZE", os.environ["WORLD_SIZE"]))
        torch.set_num_threads(threads_of_rank(local_world))
    return Ranks(dist.get_rank(), dist.get_world_size(), local_rank, device)


def threads_of_rank(local_world: int) -> int:
    """Threads that a rank computes with on CPUs: its share of the cores that it may run on.

    More of them than cores slow each other down, so that OMP_NUM_THREADS can ask for fewer, where
    the machine has other work, and not for more.

    Args:
        local_world: ranks on this machine.
    """
    share = max(1, len(os.sched_getaffinity(0)) // local_world)
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory that this rank has held: of the GPU if it trains on one, else of the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def leave_ranks() -> None:
    """Leave the process group."""
    if dist.is_initialized():
        dist.destroy_process_group()
