"""What a context is like, in a few numbers per channel: frames in, what a gate sees out.

Axes: B samples, T frames, C channels, S the grid of one to three axes, K waves, O octaves of them.
The numbers tell equations, regimes and boundaries apart before a network has learnt anything, and
stay what they are while it learns. Noise, and what a forecast adds of its own, move the logarithms
of octaves that hold next to nothing. Of no paper.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from foundation.nn.constants import constant, kept

_OCTAVES = 5  # of wave numbers, up to 32 waves per side
_SMALLEST = 1e-6  # of a deviation, a change or a share: less is nothing


def num_described(channels: int) -> int:
    """F, the numbers that say what a context is like."""
    return channels * (3 + _OCTAVES)


def describing_products(channels: int, grid: Sequence[int]) -> int:
    """Multiply-adds of describing one context."""
    return channels * prod(grid[:-1]) * (grid[-1] // 2 + 1) * _OCTAVES


def described(given_BTCS: Tensor) -> Tensor:
    """What the last frame of each context is like, and how it changes.

    Args:
        given_BTCS: physical units.

    Returns:
        (B, F), float32: of each channel its mean (inverse hyperbolic sine); logarithms of its
        deviation, of the last change relative to that, and of each octave's share of the variance.
    """
    last_BCS = given_BTCS[:, -1].float()
    before_BCS = given_BTCS[:, -2].float() if given_BTCS.shape[1] > 1 else last_BCS
    axes = tuple(range(2, last_BCS.ndim))
    mean = last_BCS.mean(axes, keepdim=True)
    deviation = _root_mean_square(last_BCS - mean, axes) + _SMALLEST
    change = _root_mean_square(last_BCS - before_BCS, axes)
    waves = torch.fft.rfftn((last_BCS - mean) / deviation, dim=axes, norm="forward")
    octaves_BCO = waves.abs().square().flatten(2) @ _in_octaves(last_BCS)
    of_channels = (mean.asinh(), deviation.log(), (change / deviation + _SMALLEST).log())
    numbers = [each.flatten(1) for each in (*of_channels, (octaves_BCO + _SMALLEST).log())]
    return torch.cat(numbers, dim=1)


def _root_mean_square(fields_BCS: Tensor, axes: tuple[int, ...]) -> Tensor:
    return fields_BCS.square().mean(axes, keepdim=True).sqrt()


@constant
def _in_octaves(fields_BCS: Tensor) -> Tensor:
    grid = tuple(fields_BCS.shape[2:])
    return kept(_octaves, fields_BCS.device, fields_BCS.dtype, grid)


def _octaves(grid: tuple[int, ...]) -> Tensor:
    """How often each wave of a real transform counts in each octave (K, O); the mean in none."""
    *others, last = grid
    along = [torch.fft.fftfreq(n, 1 / n) for n in others]
    along.append(torch.fft.rfftfreq(last, 1 / last))
    squares_K = torch.stack(torch.meshgrid(*along, indexing="ij")).square().sum(0).flatten()
    least_O = 4.0 ** torch.arange(_OCTAVES)
    member_KO = (squares_K[:, None] >= least_O) & (squares_K[:, None] < 4 * least_O)
    # Of the last axis, waves that run the other way are left out: those that run along count twice.
    twice = (along[-1] > 0) & (2 * along[-1] < last)
    times_K = 1 + twice.repeat(prod(others)).to(torch.float32)
    counted: Tensor = member_KO * times_K[:, None]
    return counted
