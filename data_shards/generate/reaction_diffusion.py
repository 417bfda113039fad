"""FitzHugh-Nagumo diffusion-reaction without flux through the sides: noise in, frames out.

Axes: H rows (y), W columns (x), cell centres; variables are ordered (u, v).
Source: PDEBench (arXiv:2210.07182). Second-order differences in space and
scipy's adaptive Runge-Kutta 5(4) in time; frames come from its fourth-order
dense output. White noise knows no physical scale, so the start is drawn on the
requested grid: one index gives different trajectories at two resolutions.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt
from scipy.integrate import RK45

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.errors import UserError
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, block_average
from data_shards.kernel import kernel


class ReactionDiffusionOptions(Config):
    """Equation and accuracy."""

    diffusion_u: PositiveFloat
    diffusion_v: PositiveFloat
    reaction_k: float
    tolerance: PositiveFloat = 1e-5  # of the time integration, relative and absolute
    # A finer grid on which the start is drawn, then averaged; None: the requested one.
    start_resolution: PositiveInt | None = None


# In time alone: another grid is another initial noise.
REFINED = Refinement(ReactionDiffusionOptions, {"tolerance": 0.01})


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory at t = 0, 0.05, ... from standard normal u, then v."""
    options = ReactionDiffusionOptions.read(card.generator_options, f"card {card.name}")
    x_min, x_max, y_min, y_max = card.extent or (-1.0, 1.0, -1.0, 1.0)
    fields = solve(
        _start(rng, resolution, options.start_resolution or resolution),
        cell_sizes=((x_max - x_min) / resolution, (y_max - y_min) / resolution),
        times=np.arange(card.frames) * (card.dt_s or 0.05),
        diffusions=(options.diffusion_u, options.diffusion_v),
        reaction_k=options.reaction_k,
        tolerance=options.tolerance,
    )
    parameters = options.model_dump(exclude={"tolerance", "start_resolution"})
    return Solution(fields, parameters)


def _start(rng: np.random.Generator, cells: int, drawn: int) -> Array:
    """White noise of u and v (2, H, W), as the cells hold of one drawn on a finer grid."""
    if drawn % cells:
        raise UserError(f"start_resolution={drawn} is no multiple of {cells} cells; make it one")
    noise = rng.standard_normal((2, drawn, drawn))
    return noise if drawn == cells else block_average(noise, drawn // cells)


def solve(
    start: Array,
    *,
    cell_sizes: tuple[float, float],
    times: NDArray[np.floating],
    diffusions: tuple[float, float],
    reaction_k: float,
    tolerance: float,
) -> Array:
    """The fields at the given times.

    Args:
        start: (2, H, W) at times[0].
        cell_sizes: dx, dy.
        times: (T,), rising.
        diffusions: of u and v.
        reaction_k: k of the reaction u - u^3 - k - v.
        tolerance: relative and absolute, of the time integration.

    Returns:
        (T, 2, H, W).

    Raises:
        ArithmeticError: the time integration broke down.
    """
    shape = start.shape
    weights = np.array([[d / size**2 for size in cell_sizes] for d in diffusions])

    def rate(_: float, flat: Array) -> Array:
        return np.asarray(_rate(flat.reshape(shape), weights, reaction_k)).ravel()

    solver = RK45(rate, times[0], start.ravel(), t_bound=times[-1], rtol=tolerance, atol=tolerance)
    frames = np.empty((len(times), *shape))
    frames[0] = start
    done = 1
    while done < len(times):
        fault = solver.step()
        if solver.status == "failed":
            raise ArithmeticError(f"time integration failed at t = {solver.t:g}: {fault}")
        reached = int(np.searchsorted(times, solver.t, side="right"))
        if reached > done:
            between = solver.dense_output()(times[done:reached])
            frames[done:reached] = between.T.reshape(-1, *shape)
            done = reached
    return frames


@kernel
def _rate(state: Array, weights: Array, k: float) -> Array:
    """Time derivative of (u, v), (2, H, W); weights[c] = diffusion of c over dx^2, dy^2."""
    _, height, width = state.shape
    rate = np.empty_like(state)
    for j in range(height):
        above, below = min(j + 1, height - 1), max(j - 1, 0)
        for i in range(width):
            right, left = min(i + 1, width - 1), max(i - 1, 0)
            u, v = state[0, j, i], state[1, j, i]
            u_xx = state[0, j, right] - 2 * u + state[0, j, left]
            u_yy = state[0, above, i] - 2 * u + state[0, below, i]
            v_xx = state[1, j, right] - 2 * v + state[1, j, left]
            v_yy = state[1, above, i] - 2 * v + state[1, below, i]
            diffusion_u = weights[0, 0] * u_xx + weights[0, 1] * u_yy
            rate[0, j, i] = diffusion_u + u - u * u * u - k - v
            rate[1, j, i] = weights[1, 0] * v_xx + weights[1, 1] * v_yy + u - v
    return rate
