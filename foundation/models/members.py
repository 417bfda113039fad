"""Members of an ensemble: a batch in, the same batch as one member sees it out.

Axes: B samples, T frames, C channels, S the grid of one to three axes.
A member's noise is one pattern for all samples and all frames, in units of each channel's own
change from frame to frame: all that happened before keeps its course, the state it has led to is
a little uncertain. A gate that sees the context is shown it without the noise, as in training.
The pattern is a function of seed and member alone, so that a member repeats
whatever the batch, the number of members and the machine's ranks.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from data_shards.hashing import digest, keyed
from data_shards.stream.batch import Batch
from foundation.physics.norms import space


def ensemble_fingerprint(parts: Sequence[str], count: int, noise: float, seed: int) -> str:
    """What tells an ensemble from others: its checkpoints' fingerprints and how members differ."""
    return digest({"members": count, "noise": noise, "seed": seed, "of": list(parts)})


def as_seen_by(batch: Batch, member: int, noise: float, seed: int = 0) -> Batch:
    """A batch with the noise of one member: in the fluid, of channels that are predicted.

    Args:
        batch: given frames (B, T, C, *S).
        member: its number; 0 sees the batch as it is.
        noise: its size, see `noise_of`.
        seed: of the ensemble.
    """
    given = batch.given
    if member == 0 or noise == 0.0 or batch.asked_mask.shape[1] != given.shape[2]:
        return batch
    real = batch.asked_mask[:, None, :, *(None,) * len(space(given))] * batch.valid_mask[:, None]
    shown = given if batch.routed_by is None else batch.routed_by
    noisy = given + real * noise_of(given, member, noise, seed)
    return replace(batch, given=noisy, routed_by=shown)


def noise_of(given: Tensor, member: int, noise: float, seed: int = 0) -> Tensor:
    """The noise of one member (B, 1, C, *S).

    Args:
        given: frames (B, T, C, *S).
        member: its number, 1 or more.
        noise: root mean square of the pattern, in units of the root mean square change from one
            given frame to the next; of a single given frame, of its deviation in space.
        seed: of the ensemble.
    """
    if given.shape[1] > 1:
        moved = given[:, 1:] - given[:, :-1]
    else:
        moved = given - given.mean(space(given), keepdim=True)
    size_B1C = moved.square().mean((1, *space(given)), keepdim=True).sqrt()
    return noise * size_B1C * _pattern(tuple(given.shape[2:]), member, seed).to(given)


def _pattern(shape: tuple[int, ...], member: int, seed: int) -> Tensor:
    """Standard normal numbers (C, *S), drawn on the CPU whatever the device."""
    generator = torch.Generator().manual_seed(keyed(f"member/{member}", seed) >> 1)
    return torch.randn(shape, generator=generator)
