"""Steady problems with constant coefficients on the torus: random source in, solution out.

Axes: H rows (y), W columns (x) of an N x N grid on the unit square, points at
(i / N, j / N); one frame of two fields, the source f and the solution u:
- poisson: -div(K grad(u)) = f, K symmetric with eigenvalues 0.01 and 0.01 e;
- advection_diffusion: -(1 - w) div(K grad(u)) + w v.grad(u) = f, |v| = 1, with w such
  that the advection term is a given fraction of the diffusion term (2-norms);
- helmholtz: -0.01 lap(u) - omega u = f, omega an integer; drawn again while |u| > 2.
f and u have mean zero, but for helmholtz. Parameters are the coefficients as they
stand before the derivatives, factors included.
On a coarser grid both lack the waves that it does not resolve: at 64 cells they
hold none, at 32 cells 1 % of the source and less than 0.1 % of the solution.
Source: Subramanian et al. (arXiv:2306.00258), solved as there in Fourier space.
Departures: the sparsity of the source is drawn for each problem instead of being
sorted; w is found for each source instead of on average over many, so the ratio is
exact, and w next to 1 where a source varies mostly across the flow; Gaussians go
on across the sides, where exp(-5^2 / 2) of their height is left.
"""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Literal

import numpy as np
import scipy.fft
from pydantic import PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution
from data_shards.generate.spectral_operator import (
    Operator,
    Spectrum,
    advection_weight,
    on_grid,
    rotated,
    solve,
    weighted,
)
from data_shards.trajectory import Parameter

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
class Problem:
    """A problem and its solution.

    Attributes:
        source: waves of f.
        solution: waves of u.
        parameters: the coefficients, and what they were drawn from.
    """

    source: Spectrum
    solution: Spectrum
    parameters: dict[str, Parameter]


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One problem: frame (source, solution), the same at every resolution."""
    options = EllipticOptions.read(card.generator_options, f"card {card.name}")
    cells = max(resolution, options.solver_resolution)
    for _ in range(TRIES):
        problem = draw_problem(rng, options, cells)
        if is_kept(problem, options):
            break
    else:
        raise ArithmeticError(
            f"{TRIES} problems in a row had |u| > {options.largest:g}: omega is next to a "
            "resonance; raise largest, or take another range of omega"
        )
    fields = np.stack([on_grid(waves, resolution) for waves in (problem.source, problem.solution)])
    return Solution(fields[None], problem.parameters, dt_s=STEADY_DT_S)


def draw_problem(rng: np.random.Generator, options: EllipticOptions, cells: int) -> Problem:
    """A source, coefficients and the solution on a grid of `cells` a side."""
    sparsity = float(rng.choice(options.sparsity))
    source = scipy.fft.rfft2(gaussians(draw_heights(rng, sparsity), cells))
    if options.equation != "helmholtz":
        source[0, 0] = 0.0
    operator, parameters = draw_operator(rng, options, source)
    return Problem(source, solve(source, operator), {"sparsity": sparsity, **parameters})


def is_kept(problem: Problem, options: EllipticOptions) -> bool:
    """Whether a problem belongs to the corpus: those of helmholtz only if u is not large."""
    if options.equation != "helmholtz":
        return True
    cells = problem.solution.shape[0]
    u = scipy.fft.irfft2(problem.solution, s=(cells, cells))
    return bool(np.abs(u).max() <= options.largest)


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
    operator = Operator(rotated(anisotropy, angle, diffusion))
    parameters: dict[str, Parameter] = {"anisotropy": anisotropy}
    if options.equation == "advection_diffusion":
        ratio, heading = float(rng.uniform(*options.advection)), float(rng.uniform(0, 2 * pi))
        velocity = (cos(heading), sin(heading))
        operator = weighted(operator, velocity, advection_weight(operator, velocity, ratio, source))
        moving = dict(zip(("v1", "v2"), operator.velocity, strict=True))
        parameters = {**parameters, "advection_ratio": ratio, **moving}
    tensor = dict(zip(("k11", "k22", "k12"), operator.tensor, strict=True))
    return operator, {**parameters, **tensor}
