"""Real fields to the lower modes of their Fourier series and back, by matrix products.

Axes: B samples, H rows, W columns, D features; M rows and K columns of kept modes, of the half
spectrum along W; 2 for real and imaginary parts.
A grid of patches is small and its features are many: along each axis a product with one small
matrix is faster than a fast transform, gives real numbers in the order in which they are
mixed, and computes no mode that is dropped. Numerically `rfft2` and `irfft2` with
norm="ortho"; for grids beyond a hundred points a side a fast transform would win.
"""

from collections.abc import Callable
from math import pi, sqrt

import torch
from torch import Tensor

from foundation.nn.constants import constant, kept


def to_modes(x_BHWD: Tensor, kept_rows: int, kept_columns: int) -> Tensor:
    """Lowest modes of float32 fields (B, H, W, D) -> (B, M, 2, K, D)."""
    batch, rows, columns, width = x_BHWD.shape
    along_columns = _from_columns(columns, kept_columns, x_BHWD.device)
    along_rows = _from_rows(rows, kept_rows, x_BHWD.device)
    by_column = torch.matmul(along_columns, x_BHWD)  # (B, H, 2 K, D)
    by_column = by_column.view(batch, 2 * rows, kept_columns * width)
    return torch.matmul(along_rows, by_column).view(batch, kept_rows, 2, kept_columns, width)


def from_modes(modes_BM2KD: Tensor, rows: int, columns: int) -> Tensor:
    """Fields (B, H, W, D) whose other modes are zero, from float32 modes (B, M, 2, K, D)."""
    batch, kept_rows, _, kept_columns, width = modes_BM2KD.shape
    along_rows = _to_rows(rows, kept_rows, modes_BM2KD.device)
    along_columns = _to_columns(columns, kept_columns, modes_BM2KD.device)
    stacked = modes_BM2KD.reshape(batch, 2 * kept_rows, kept_columns * width)
    by_column = torch.matmul(along_rows, stacked).view(batch, rows, 2 * kept_columns, width)
    return torch.matmul(along_columns, by_column)


def _columns_to_modes(points: int, modes: int) -> Tensor:
    """(2 K, W): cosines, then negative sines."""
    angles = _angles(points, modes)
    return torch.cat([angles.cos(), -angles.sin()])


def _modes_to_columns(points: int, modes: int) -> Tensor:
    """(W, 2 K): a mode stands for its conjugate too, but for the mean and the highest."""
    twice = torch.full((modes, 1), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if modes == points // 2 + 1 and points % 2 == 0:
        twice[-1] = 1.0
    angles = _angles(points, modes)
    # Sines of the mean and of the highest are zero, and with them their imaginary parts.
    return torch.cat([twice * angles.cos(), -twice * angles.sin()]).t()


def _rows_to_modes(points: int, modes: int) -> Tensor:
    """(2 M, 2 H), each real and imaginary: times exp(-i angle)."""
    return _complex(_angles(points, modes), -1.0)


def _modes_to_rows(points: int, modes: int) -> Tensor:
    """(2 H, 2 M), each real and imaginary: times exp(i angle)."""
    return _complex(_angles(points, modes).t(), 1.0)


def _angles(points: int, modes: int) -> Tensor:
    """Phase of each mode at each point (modes, points), rad."""
    numbers, places = (torch.arange(n, dtype=torch.float64) for n in (modes, points))
    angles: Tensor = torch.outer(numbers, places * (2 * pi / points))
    return angles


def _complex(angles: Tensor, sign: float) -> Tensor:
    """exp(sign i angle) as real matrices that act on (real, imaginary)."""
    cosines, sines = angles.cos(), sign * angles.sin()
    real, imaginary = torch.stack([cosines, -sines], -1), torch.stack([sines, cosines], -1)
    return torch.stack([real, imaginary], dim=1).flatten(2).flatten(0, 1)


@constant
def _from_columns(points: int, modes: int, device: torch.device) -> Tensor:
    return _matrix(_columns_to_modes, points, modes, device)


@constant
def _from_rows(points: int, modes: int, device: torch.device) -> Tensor:
    return _matrix(_rows_to_modes, points, modes, device)


@constant
def _to_rows(points: int, modes: int, device: torch.device) -> Tensor:
    return _matrix(_modes_to_rows, points, modes, device)


@constant
def _to_columns(points: int, modes: int, device: torch.device) -> Tensor:
    return _matrix(_modes_to_columns, points, modes, device)


def _matrix(
    make: Callable[[int, int], Tensor], points: int, modes: int, device: torch.device
) -> Tensor:
    """Orthonormal, float32."""
    return kept(_orthonormal, device, torch.float32, make, points, modes)


def _orthonormal(make: Callable[[int, int], Tensor], points: int, modes: int) -> Tensor:
    return make(points, modes) / sqrt(points)
