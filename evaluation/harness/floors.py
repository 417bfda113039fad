"""Floors: forecasts that know no physics; a context in, a constant future out.

Where nothing of what is asked is given, as in a steady problem, there is no past to repeat: the
floor is a field of zeros, whose relative error is 1. A vector of zeros is no state: ground states
have floors of their own (`state_floors`).

A model that does not beat them has learnt nothing. They see what a model sees
and are judged by the same code.
"""

from collections.abc import Callable

from torch import Tensor

from data_shards.card import CorpusCard
from data_shards.stream.batch import Batch
from evaluation.harness.state_floors import FLOORS_OF_SYSTEM, STATE_FLOORS

Floor = Callable[[Batch, int], Tensor]


def persistence(batch: Batch, steps: int) -> Tensor:
    """The last frame of the context, repeated: (B, steps, C, H, W)."""
    return _repeated(batch.given[:, -1:], steps)


def context_mean(batch: Batch, steps: int) -> Tensor:
    """The mean of the context's frames, repeated: (B, steps, C, H, W)."""
    return _repeated(batch.given.mean(1, keepdim=True), steps)


def _repeated(frame: Tensor, steps: int) -> Tensor:
    return frame.expand(-1, steps, *(-1,) * (frame.ndim - 2))


def zero(batch: Batch, steps: int) -> Tensor:
    """Zeros (B, steps, C, *S)."""
    shape = len(batch), steps, batch.asked_mask.shape[1], *batch.given.shape[3:]
    return batch.given.new_zeros(shape)


FLOORS: dict[str, Floor] = {
    "persistence": persistence,
    "context_mean": context_mean,
    "zero": zero,
    **STATE_FLOORS,
}


def floors_of(card: CorpusCard) -> tuple[str, ...]:
    """Floors that a corpus is compared with."""
    if card.axis == "states" and card.pde in FLOORS_OF_SYSTEM:
        return FLOORS_OF_SYSTEM[card.pde]
    return ("persistence", "context_mean") if card.continues else ("zero",)
