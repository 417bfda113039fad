"""A particle in a box without a matrix: amplitudes and a potential in, H psi out.

    H = -lap / 2 + V, central differences, zero at the walls of the unit interval or square

Axes: B samples, H rows, W columns of inner points at i / (N + 1); an axis of one point has no
walls. The same matrix as `data_shards.generate.particle` makes of Kronecker products.
"""

from collections.abc import Sequence
from functools import cache
from math import pi

import torch
from torch import Tensor
from torch.nn import functional as F


def apply(psi_BHW: Tensor, potential_BHW: Tensor) -> Tensor:
    """H psi (B, H, W)."""
    result: Tensor = potential_BHW * psi_BHW
    for axis in (1, 2):
        cells = psi_BHW.shape[axis]
        if cells > 1:
            result = result - _second_difference(psi_BHW, axis) * (cells + 1) ** 2 / 2
    return result


def box_state(grid: tuple[int, ...]) -> Tensor:
    """Ground state without a potential (*grid), float64, sum of squares 1."""
    along = [_half_wave(cells) for cells in grid]
    state = along[0][:, None] * along[1]
    return state.div(state.norm())


def smoothed(potential_BHW: Tensor, widths: Sequence[float]) -> Tensor:
    """Means of a potential weighed by Gaussians (B, H, W, F), less its mean over the box.

    Args:
        potential_BHW: at the inner points.
        widths: standard deviations in units of the side; 0 is the potential itself. Beyond the
            walls nothing is weighed.
    """
    centred = potential_BHW - potential_BHW.mean((1, 2), keepdim=True)
    rows, columns = potential_BHW.shape[1:]
    means = [
        _weights(rows, width).to(centred) @ centred @ _weights(columns, width).to(centred).T
        for width in widths
    ]
    return torch.stack(means, dim=3)


@cache
def _weights(cells: int, width: float) -> Tensor:
    """Of all points along an axis in the mean at each, (N, N); rows sum to one."""
    places = torch.arange(cells, dtype=torch.float64) / (cells + 1)
    if width == 0:
        return torch.eye(cells, dtype=torch.float64)
    weights = (-((places[:, None] - places) ** 2) / (2 * width**2)).exp()
    return weights / weights.sum(1, keepdim=True)


def _half_wave(cells: int) -> Tensor:
    places = torch.arange(1, cells + 1, dtype=torch.float64) / (cells + 1)
    return (pi * places).sin() if cells > 1 else places.new_ones(1)


def _second_difference(psi_BHW: Tensor, axis: int) -> Tensor:
    ends = (1, 1) if axis == 2 else (0, 0, 1, 1)
    padded = F.pad(psi_BHW, ends)
    cells = psi_BHW.shape[axis]
    before, after = padded.narrow(axis, 0, cells), padded.narrow(axis, 2, cells)
    return before + after - 2 * psi_BHW
