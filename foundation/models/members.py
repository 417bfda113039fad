"""Members of an ensemble: a batch in, the same batch as one member sees it out.

Axes: B samples, T frames, C channels, S the grid of one to three axes.
A member's noise is one pattern for all samples and all frames, in units of each channel's own
change from frame to frame: all that happened before keeps its course, the state it has led to is
a little uncertain. The pattern is a function of seed and member alone, so that a member repeats
whatever the batch, the number of members and the machine's ranks.
"""

from dataclasses import replace

import torch
from torch import Tensor

from data_shards.hashing import keyed
from data_shards.stream.batch import Batch
from foundation.physics.norms import space


def as_seen_by(batch: Batch, member: int, noise: float, seed: int = 0) -> Batch:
    """A batch with the noise of one member.

    Args:
        batch: given frames (B, T, C, *S).
        member: its number; 0 sees the batch as it is.
        noise: root mean square of the pattern, in units of the root mean square change from one
            given frame to the next; of a single given frame, of its deviation in space.
        seed: of the ensemble.
    """
    if member == 0 or noise == 0.0:
        return batch
    given = batch.given
    pattern = _pattern(tuple(given.shape[2:]), member, seed).to(given)
    return replace(batch, given=given + noise * _size(batch) * pattern)


def _pattern(shape: tuple[int, ...], member: int, seed: int) -> Tensor:
    """Standard normal numbers (C, *S), drawn on the CPU whatever the device."""
    generator = torch.Generator().manual_seed(keyed(f"member/{member}", seed) >> 1)
    return torch.randn(shape, generator=generator)


def _size(batch: Batch) -> Tensor:
    """Of noise 1 (B, 1, C, *S); 0 in channels that are not predicted and in solid cells."""
    given = batch.given
    grid = (None,) * len(space(given))
    if given.shape[1] > 1:
        moved = given[:, 1:] - given[:, :-1]
    else:
        moved = given - given.mean(space(given), keepdim=True)
    size_B1C = moved.square().mean((1, *space(given)), keepdim=True).sqrt()
    real = given.new_zeros(len(batch), given.shape[2])
    if batch.asked_mask.shape[1] == given.shape[2]:
        real = batch.asked_mask
    return size_B1C * real[:, None, :, *grid] * batch.valid_mask[:, None]
