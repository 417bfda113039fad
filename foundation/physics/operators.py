"""Derivatives on periodic grids by Fourier transform: fields in, their derivatives out.

Axes: fields (..., *S), S the points of a grid of one, two or three dimensions: (W,), (H, W) or
(D, H, W), the last axis x; vectors (..., N, *S), one component per dimension. Whatever has one
entry per dimension - lengths of the sides, orders, components - stands in the order x, y, z, as
extents on cards do. Real, differentiable, in the precision of the fields.

The derivative is that of the trigonometric interpolant, exact for every wave that the grid
resolves. Of the unpaired wave, N / 2 cycles on an even number N of points, the grid sees the
cosine and not the sine, so that its slope is unknown: it is 0, and so are its higher derivatives.
Thus the second derivative is the first one twice, derivatives along two axes commute, and
sum(u dv) = -sum(v du) to round-off.
"""

from collections.abc import Sequence
from math import pi

import torch
from torch import Tensor


def derivative(fields: Tensor, orders: Sequence[int], lengths: Sequence[float]) -> Tensor:
    """A derivative of mixed order.

    Args:
        fields: (..., *S), float32 or float64.
        orders: along x[, y[, z]]; (1, 0) is d/dx on a plane, (2,) the second one on a line.
        lengths: of the sides, as many.

    Returns:
        (..., *S), in units of the field over those of the lengths.

    Raises:
        ValueError: lengths and orders are not one to three, or not as many.
    """
    if len(orders) != len(lengths):
        raise ValueError(f"{len(orders)} orders and {len(lengths)} lengths; wanted as many")
    waves = to_waves(fields, len(lengths))
    for slope, order in zip(_slopes(fields, lengths), orders, strict=True):
        for _ in range(order):
            waves = waves * slope
    return from_waves(waves, fields.shape[-len(lengths) :])


def gradient(fields: Tensor, lengths: Sequence[float]) -> Tensor:
    """Slopes along x[, y[, z]]: (..., *S) -> (..., N, *S); see `derivative`."""
    waves = to_waves(fields, len(lengths))
    slopes = torch.stack([waves * slope for slope in _slopes(fields, lengths)], -1 - len(lengths))
    return from_waves(slopes, fields.shape[-len(lengths) :])


def divergence(vectors: Tensor, lengths: Sequence[float]) -> Tensor:
    """Sum of the slopes of each component along its own axis: (..., N, *S) -> (..., *S)."""
    components = to_waves(vectors, len(lengths)).unbind(-1 - len(lengths))
    slopes = _slopes(vectors, lengths)
    waves = sum(wave * slope for wave, slope in zip(components, slopes, strict=True))
    assert isinstance(waves, Tensor)
    return from_waves(waves, vectors.shape[-len(lengths) :])


def laplacian(fields: Tensor, lengths: Sequence[float]) -> Tensor:
    """Sum of the second derivatives along all axes: (..., *S) -> (..., *S)."""
    waves = to_waves(fields, len(lengths))
    squares = sum(slope**2 for slope in _slopes(fields, lengths))
    return from_waves(waves * squares, fields.shape[-len(lengths) :])


def to_waves(fields: Tensor, dimensions: int) -> Tensor:
    """Fourier coefficients of real fields over their last axes, x halved, as `rfftn` orders them.

    Raises:
        ValueError: not one to three dimensions, or more than the fields have axes.
    """
    if not 1 <= dimensions <= 3 or fields.ndim < dimensions:
        raise ValueError(
            f"{dimensions} dimensions of fields {tuple(fields.shape)}; wanted 1 to 3, and as many "
            "axes at the end of the fields"
        )
    waves: Tensor = torch.fft.rfftn(fields, dim=tuple(range(-dimensions, 0)))
    return waves


def from_waves(waves: Tensor, grid: Sequence[int]) -> Tensor:
    """The fields (..., *S) of Fourier coefficients; the grid says whether x is even or odd."""
    fields: Tensor = torch.fft.irfftn(waves, s=tuple(grid), dim=tuple(range(-len(grid), 0)))
    return fields


def wave_numbers(grid: Sequence[int], lengths: Sequence[float]) -> list[Tensor]:
    """Angular wave number of every coefficient, along x[, y[, z]], 0 for unpaired waves.

    Args:
        grid: points in the order of the axes, x last.
        lengths: of the sides, x first.

    Returns:
        One float64 tensor per dimension, which broadcasts over the coefficients.
    """
    numbers = []
    for axis, (points, length) in enumerate(zip(reversed(grid), lengths, strict=True)):
        cycles = torch.fft.fftfreq(points, 1 / points, dtype=torch.float64)
        if points % 2 == 0:
            cycles[points // 2] = 0.0
        if axis == 0:
            cycles = cycles[: points // 2 + 1]
        numbers.append((2 * pi / length * cycles).reshape(-1, *[1] * axis))
    return numbers


def is_paired(grid: Sequence[int]) -> Tensor:
    """Which Fourier coefficients are of waves with a slope along every axis, boolean."""
    paired = torch.ones([*grid[:-1], grid[-1] // 2 + 1], dtype=torch.bool)
    for axis, points in enumerate(grid):
        if points % 2 == 0:
            paired.select(axis, points // 2).fill_(False)
    return paired


def _slopes(fields: Tensor, lengths: Sequence[float]) -> list[Tensor]:
    """What a first derivative multiplies the coefficients by, along each axis."""
    numbers = wave_numbers(fields.shape[-len(lengths) :], lengths)
    return [1j * number.to(fields) for number in numbers]
