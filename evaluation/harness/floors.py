"""Floors: forecasts that know no physics; a context in, a constant future out.

A model that does not beat them has learnt nothing. They see what a model sees
and are judged by the same code.
"""

from collections.abc import Callable

from torch import Tensor

from data_shards.stream.batch import Batch

Floor = Callable[[Batch, int], Tensor]


def persistence(batch: Batch, steps: int) -> Tensor:
    """The last frame of the context, repeated: (B, steps, C, H, W)."""
    return batch.given[:, -1:].expand(-1, steps, -1, -1, -1)


def context_mean(batch: Batch, steps: int) -> Tensor:
    """The mean of the context's frames, repeated: (B, steps, C, H, W)."""
    return batch.given.mean(1, keepdim=True).expand(-1, steps, -1, -1, -1)


FLOORS: dict[str, Floor] = {"persistence": persistence, "context_mean": context_mean}
