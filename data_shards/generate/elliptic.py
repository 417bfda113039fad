"""Steady problems with constant coefficients on the torus: random source in, solution out.

Axes: H rows (y), W columns (x) of an N x N grid on the unit square, points at
(i / N, j / N); one frame of two fields, the source f and the solution u:
- poisson: -div(K grad(u)) = f, K symmetric with eigenvalues 0.01 and 0.01 e;
- advection_diffusion: -(1 - w) div(K grad(u)) + w v.grad(u) = f, |v| = 1, with w such
  that the advection term is a given fraction of the diffusion term (2-norms);
- helmholtz: -0.01 lap(u) - omega u = f, omega an integer.
f and u have mean zero, but for helmholtz. Parameters are the coefficients as they
stand before the derivatives, factors included.
Source: Subramanian et al. (arXiv:2306.00258), solved as there in Fourier space.
Departures: the sparsity of the source is drawn for each problem instead of being
sorted, and w is found for each source instead of on average over many.
"""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt
from scipy.optimize import brentq

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution
from data_shards.trajectory import Parameter

Spectrum = NDArray[np.complex128]

BUMPS, SPACING, WIDTH = 12, 2 / 32, 1 / 32  # a square lattice of Gaussians in the middle
TRIES = 1000
STEADY_DT_S = 1.0  # means nothing


class EllipticOptions(Config):
    """Equation and the ranges of its coefficients."""

    equation: Literal["poisson", "advection_diffusion", "helmholtz"]
    diffusion: PositiveFloat = 0.01
    anisotropy: tuple[PositiveFloat, PositiveFloat] = (1.0, 5.0)  # e
    advection: tuple[PositiveFloat, PositiveFloat] = (0.2, 1.0)  # of the diffusion term
    omega: tuple[PositiveInt, PositiveInt] = (1, 10)
    sparsity: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)  # share of the Gaussians that are left out
    largest: PositiveFloat = 2.0  # |u| of a helmholtz problem; others are drawn again
    solver_resolution: PositiveInt = 128


REFINED = Refinement(EllipticOptions, {"solver_resolution": 2})


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


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One problem: frame (source, solution), the same at every resolution."""
    options = EllipticOptions.read(card.generator_options, f"card {card.name}")
    cells = max(resolution, options.solver_resolution)
    for _ in range(TRIES):
        sparsity = float(rng.choice(options.sparsity))
        heights = draw_heights(rng, sparsity)
        source = scipy.fft.rfft2(gaussians(heights, cells))
        if options.equation != "helmholtz":
            source[0, 0] = 0.0
        operator, parameters = draw_operator(rng, options, source)
        solution = solve(source, operator)
        size = np.abs(scipy.fft.irfft2(solution, s=(cells, cells))).max()
        if options.equation != "helmholtz" or size <= options.largest:
            break
    else:
        raise ArithmeticError(f"no problem with |u| <= {options.largest}; raise largest")
    fields = np.stack([on_grid(spectrum, resolution) for spectrum in (source, solution)])
    return Solution(fields[None], {"sparsity": sparsity, **parameters}, dt_s=STEADY_DT_S)


def draw_heights(rng: np.random.Generator, sparsity: float) -> Array:
    """Heights (12, 12) of Gaussians, 0 where one is left out; at least one is not."""
    heights = np.where(rng.random(BUMPS**2) > sparsity, rng.uniform(1e-3, 1, BUMPS**2), 0.0)
    if not heights.any():
        heights[rng.integers(BUMPS**2)] = 1.0
    return heights.reshape(BUMPS, BUMPS)


def gaussians(heights: Array, cells: int) -> Array:
    """Their sum (N, N), rows and columns of the lattice along y and x, scaled to a maximum of 1."""
    places = 0.5 + SPACING * (np.arange(BUMPS) - (BUMPS - 1) / 2)
    gap = np.arange(cells)[None, :] / cells - places[:, None]
    gap -= np.round(gap)  # to the nearest image
    profile = np.exp(-(gap**2) / (2 * WIDTH**2))
    source = profile.T @ heights @ profile
    return np.asarray(source / source.max())


def draw_operator(
    rng: np.random.Generator, options: EllipticOptions, source: Spectrum
) -> tuple[Operator, dict[str, Parameter]]:
    """Coefficients of one problem; those of advection depend on the source too."""
    diffusion = options.diffusion
    if options.equation == "helmholtz":
        omega = int(rng.integers(options.omega[0], options.omega[1] + 1))
        return Operator((diffusion, diffusion, 0.0), omega=omega), {
            "diffusion": diffusion,
            "omega": omega,
        }
    anisotropy, angle = float(rng.uniform(*options.anisotropy)), float(rng.uniform(0, pi))
    operator = Operator(_scaled(rotated(anisotropy, angle), diffusion))
    parameters: dict[str, Parameter] = {"anisotropy": anisotropy}
    if options.equation == "advection_diffusion":
        ratio, heading = float(rng.uniform(*options.advection)), float(rng.uniform(0, 2 * pi))
        velocity = (cos(heading), sin(heading))
        operator = weighted(operator, velocity, advection_weight(operator, velocity, ratio, source))
        moving = dict(zip(("v1", "v2"), operator.velocity, strict=True))
        parameters = {**parameters, "advection_ratio": ratio, **moving}
    tensor = dict(zip(("k11", "k22", "k12"), operator.tensor, strict=True))
    return operator, {**parameters, **tensor}


def rotated(anisotropy: float, angle: float) -> tuple[float, float, float]:
    """k11, k22, k12 of diag(1, anisotropy), rotated."""
    c, s = cos(angle), sin(angle)
    return c**2 + anisotropy * s**2, s**2 + anisotropy * c**2, (1 - anisotropy) * c * s


def weighted(still: Operator, velocity: tuple[float, float], weight: float) -> Operator:
    """(1 - weight) of the diffusion and weight of the advection."""
    scaled = (weight * velocity[0], weight * velocity[1])
    return Operator(_scaled(still.tensor, 1 - weight), scaled)


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


def _scaled(tensor: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    return factor * tensor[0], factor * tensor[1], factor * tensor[2]


def _norm(waves: Spectrum) -> float:
    """2-norm of the field, up to a factor that depends on the grid alone."""
    paired = 2 * (np.abs(waves) ** 2).sum() - (np.abs(waves[:, 0]) ** 2).sum()
    return float(np.sqrt(paired))


def _waves(cells: int) -> tuple[Array, Array]:
    kx = 2 * pi * np.arange(cells // 2 + 1.0)[None, :]
    ky = 2 * pi * np.fft.fftfreq(cells, 1 / cells)[:, None]
    return np.asarray(kx, np.float64), np.asarray(ky, np.float64)
