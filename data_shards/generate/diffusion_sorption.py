"""Diffusion with sorption in one dimension: an initial level in, concentrations out.

Axes: T frames, W cells along x; as fields (T, 1, 1, W).
In: u_t = D / R(u) u_xx with the retardation of Freundlich's isotherm,
R(u) = 1 + (1 - porosity) / porosity * density * k n (u + 1e-6)^(n - 1), saturated
at the left end, u(0) = 1, and leaving at the right one, u(1) = -D u_x(1).
Source: PDEBench (arXiv:2210.07182), its constants. Addition: starts that vary in
space (`waves`). Departures: the conditions hold on the ends themselves instead of half
a cell outside, and time steps are implicit
(LSODA on the tridiagonal system). The paper prints the right end's condition
without the sign that its generator has; only with it is the problem stable.
"""

from math import pi

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from scipy.integrate import solve_ivp

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, refinement

OFFSET = 1e-6  # keeps the power finite where there is nothing
LEVEL = 1.0  # concentration at the left end


class Isotherm(Config):
    """The porous medium: how much of the substance the grains hold back."""

    porosity: PositiveFloat = 0.29
    density: PositiveFloat = 2880.0  # of the grains, kg/m3
    freundlich_k: PositiveFloat = 3.5e-4
    freundlich_n: PositiveFloat = 0.874

    @property
    def strength(self) -> float:
        """Factor of u^n in the stored amount."""
        return (1 - self.porosity) / self.porosity * self.density * self.freundlich_k

    def retardation(self, u: Array) -> Array:
        """R(u), dimensionless, at least 1."""
        n = self.freundlich_n
        return np.asarray(1 + self.strength * n * (u + OFFSET) ** (n - 1))


class DiffusionSorptionOptions(Isotherm):
    """Equation, initial data and accuracy."""

    diffusion: PositiveFloat = 5e-4
    initial: tuple[float, float] = (0.0, 0.2)  # range of the concentration at t = 0
    waves: NonNegativeInt = 0  # along x at t = 0; none: uniform, as published
    solver_resolution: PositiveInt = 1024
    tolerance: PositiveFloat = 1e-6  # of the time integration, relative; absolute: a hundredth


REFINED = Refinement(DiffusionSorptionOptions, {"solver_resolution": 2, "tolerance": 0.01})


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory at t = 0, 5, ..., 500; only its initial level is random."""
    options = DiffusionSorptionOptions.read(card.generator_options, f"card {card.name}")
    factor = refinement(resolution, options.solver_resolution)
    start = draw_start(rng, options, resolution * factor)
    frames = solve(
        start,
        times=np.arange(card.frames) * (card.dt_s or 5.0),
        diffusion=options.diffusion,
        isotherm=options,
        tolerance=options.tolerance,
    )
    fields = frames.reshape(card.frames, 1, 1, resolution, factor).mean(axis=-1)
    medium = options.model_dump(include=set(Isotherm.model_fields))
    return Solution(
        fields, {"diffusion": options.diffusion, "initial_level": float(start.mean()), **medium}
    )


def draw_start(rng: np.random.Generator, options: DiffusionSorptionOptions, cells: int) -> Array:
    """The concentration at t = 0 (cells,): a level, or waves between two of them."""
    low, high = options.initial
    if options.waves == 0:
        return np.full(cells, float(rng.uniform(low, high)))
    number = np.arange(1, options.waves + 1)[:, None]
    heights, phases = (
        rng.standard_normal(number.shape) / number,
        rng.uniform(0, 2 * pi, number.shape),
    )
    x = (np.arange(cells) + 0.5) / cells
    profile = (heights * np.cos(pi * number * x + phases)).sum(0)
    # Heights bound the waves at every resolution alike.
    share = 0.5 + 0.5 * profile / np.abs(heights).sum()
    return np.asarray(low + (high - low) * share)


def solve(
    start: Array,
    *,
    times: NDArray[np.floating],
    diffusion: float,
    isotherm: Isotherm,
    tolerance: float,
) -> Array:
    """The concentrations at the given times.

    Args:
        start: (W,) at times[0], cell averages on the unit interval.
        times: (T,), rising.
        diffusion: D.
        isotherm: of the retardation.
        tolerance: relative, of the time integration.

    Returns:
        (T, W).

    Raises:
        ArithmeticError: the time integration broke down.
    """
    result = solve_ivp(
        lambda _, u: rate(u, diffusion, isotherm),
        (times[0], times[-1]),
        start,
        method="LSODA",
        t_eval=times,
        lband=1,
        uband=1,
        rtol=tolerance,
        atol=tolerance / 100,
    )
    if not (result.success and np.isfinite(result.y).all()):  # LSODA takes NaN for a solution
        raise ArithmeticError(f"time integration failed by t = {result.t[-1]:g}: {result.message}")
    return np.asarray(result.y.T)


def rate(u: Array, diffusion: float, isotherm: Isotherm) -> Array:
    """Time derivative of the cell averages, (W,)."""
    cell = 1 / len(u)
    # Ghosts: their mean with the end's cell is LEVEL; or that mean is the outward flux.
    left = 2 * LEVEL - u[0]
    right = u[-1] * (2 * diffusion - cell) / (2 * diffusion + cell)
    padded = np.concatenate([[left], u, [right]])
    curvature = (padded[2:] - 2 * u + padded[:-2]) / cell**2
    return np.asarray(diffusion / isotherm.retardation(u) * curvature)
