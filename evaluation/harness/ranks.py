"""Processes that share an evaluation: the launcher's environment in, a way to gather out.

`torchrun --nproc-per-node N --no-python foundation evaluate ...` starts N processes, each
with the whole model; they take turns at the batches of a task, the same batches as
one process would make, so that the number of processes shows in no score.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch.distributed as dist

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Ranks:
    """Where this process stands among those that share the work."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def gather(self, value: ValueT | None) -> list[ValueT]:
        """The ranks' values but for None, in rank order, on the first rank; none elsewhere."""
        if self.world == 1:
            return [] if value is None else [value]
        gathered: list[ValueT | None] | None = [None] * self.world if self.is_first else None
        dist.gather_object(value, gathered)
        return [value for value in gathered or [] if value is not None]

    def share(self, value: ValueT | None) -> ValueT:
        """The first rank's value, on all ranks."""
        held = [value]
        if self.world > 1:
            dist.broadcast_object_list(held)
        assert held[0] is not None
        return held[0]

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the group that `torchrun` announced; alone without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    own = not dist.is_initialized()
    if own:
        dist.init_process_group("gloo")  # only small Python values travel
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))
    finally:
        if own:
            dist.destroy_process_group()
