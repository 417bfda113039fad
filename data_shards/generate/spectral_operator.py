"""Operators with constant coefficients on the torus: waves in, waves of the exact solution out.

Axes: an N x N grid of the unit square, waves as `rfft2` orders them: (N, N // 2 + 1),
rows along y. Waves without a mirror, N / 2 cycles of an even N, are left out of solutions.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.optimize import brentq

from data_shards.generate.solution import Array

Spectrum = NDArray[np.complex128]


@dataclass(frozen=True)
class Operator:
    """-div(K grad(u)) + v.grad(u) - omega u.

    Attributes:
        tensor: k11, k22, k12 of K.
        velocity: v.
        omega: of the term without derivatives.
    """

    tensor: tuple[float, float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    omega: float = 0.0

    def symbol(self, cells: int) -> Spectrum:
        """What it multiplies the waves of `rfft2` by, (N, N // 2 + 1)."""
        return self.diffusion(cells) + self.advection(cells) - self.omega

    def diffusion(self, cells: int) -> Array:
        """Of the second derivatives, real and not negative."""
        kx, ky = _waves(cells)
        k11, k22, k12 = self.tensor
        return np.asarray(k11 * kx**2 + k22 * ky**2 + 2 * k12 * kx * ky)

    def advection(self, cells: int) -> Spectrum:
        """Of the first derivatives, imaginary."""
        kx, ky = _waves(cells)
        return np.asarray(1j * (self.velocity[0] * kx + self.velocity[1] * ky))


def rotated(anisotropy: float, angle: float, smaller: float = 1.0) -> tuple[float, float, float]:
    """k11, k22, k12 of a tensor of eigenvalues `smaller` and `smaller * anisotropy`, rotated."""
    c, s = cos(angle), sin(angle)
    k11, k22 = c**2 + anisotropy * s**2, s**2 + anisotropy * c**2
    return smaller * k11, smaller * k22, smaller * ((1 - anisotropy) * c * s)


def weighted(still: Operator, velocity: tuple[float, float], weight: float) -> Operator:
    """(1 - weight) of the diffusion and weight of the advection."""
    k11, k22, k12 = ((1 - weight) * k for k in still.tensor)
    return Operator((k11, k22, k12), (weight * velocity[0], weight * velocity[1]))


def advection_weight(
    still: Operator, velocity: tuple[float, float], ratio: float, source: Spectrum
) -> float:
    """w for which the advection term is `ratio` times the diffusion term."""
    cells = source.shape[0]

    def excess(weight: float) -> float:
        operator = weighted(still, velocity, weight)
        waves = solve(source, operator)
        moved, spread = operator.advection(cells) * waves, operator.diffusion(cells) * waves
        return _norm(moved) - ratio * _norm(spread)

    return float(brentq(excess, 0.0, 1.0 - 1e-9, xtol=1e-12))


def solve(source: Spectrum, operator: Operator) -> Spectrum:
    """Waves of the solution; 0 where the operator says nothing, and for waves without a mirror."""
    cells = source.shape[0]
    symbol = operator.symbol(cells)
    known = symbol != 0
    if cells % 2 == 0:
        known[cells // 2] = known[:, cells // 2] = False
    return np.where(known, source / np.where(known, symbol, 1.0), 0.0)


def on_grid(spectrum: Spectrum, resolution: int) -> Array:
    """The field at the points of a grid no finer than the spectrum's."""
    cells = spectrum.shape[0]
    half = (resolution + 1) // 2  # without the unpaired wave
    kept = np.zeros((resolution, resolution // 2 + 1), complex)
    rows, columns = np.arange(-half + 1, half), np.arange(half)
    kept[np.ix_(rows % resolution, columns)] = spectrum[np.ix_(rows % cells, columns)]
    scale = (resolution / cells) ** 2
    return np.asarray(scipy.fft.irfft2(kept * scale, s=(resolution, resolution)))


def _norm(waves: Spectrum) -> float:
    """2-norm of the field, up to a factor that depends on the grid alone."""
    paired = 2 * (np.abs(waves) ** 2).sum() - (np.abs(waves[:, 0]) ** 2).sum()
    return float(np.sqrt(paired))


def _waves(cells: int) -> tuple[Array, Array]:
    kx = 2 * pi * np.arange(cells // 2 + 1.0)[None, :]
    ky = 2 * pi * np.fft.fftfreq(cells, 1 / cells)[:, None]
    return np.asarray(kx, np.float64), np.asarray(ky, np.float64)
