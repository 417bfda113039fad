"""Laws of the diffusion-reaction solver."""

from itertools import pairwise
from math import exp, pi

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from data_shards.catalogue import load_card
from data_shards.generate import reaction_diffusion
from data_shards.generate.reaction_diffusion import ReactionDiffusionOptions
from data_shards.generate.solution import Array

DIFFUSIONS, K = (1e-3, 5e-3), 5e-3


def run(start: Array, times: Array, tolerance: float = 1e-8, **changes: object) -> Array:
    height, width = start.shape[1:]
    options = {
        "cell_sizes": (2 / width, 2 / height),
        "diffusions": DIFFUSIONS,
        "reaction_k": K,
    } | changes
    return reaction_diffusion.solve(start, times=times, tolerance=tolerance, **options)


def reference_rate(state: Array, cell: float) -> Array:
    """The same equations, written with padded arrays."""
    padded = np.pad(state, ((0, 0), (1, 1), (1, 1)), mode="edge")
    lap = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] + padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2]
    lap = (lap - 4 * state) / cell**2
    u, v = state
    return np.stack([DIFFUSIONS[0] * lap[0] + u - u**3 - K - v, DIFFUSIONS[1] * lap[1] + u - v])


def test_all_frames_agree_with_an_independent_integration_at_tight_tolerance(rng):
    card = load_card("pdebench_dr")
    options = ReactionDiffusionOptions.read(card.generator_options, "card")
    cells = 24
    start, times = rng.standard_normal((2, cells, cells)), np.arange(card.frames) * card.dt_s
    ours = run(start, times, tolerance=options.tolerance)
    oracle = solve_ivp(
        lambda _, y: reference_rate(y.reshape(start.shape), 2 / cells).ravel(),
        (0, times[-1]),
        start.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=1e-11,
        atol=1e-11,
    )
    exact = oracle.y.T.reshape(ours.shape)
    error = np.sqrt(((ours - exact) ** 2).sum(axis=(1, 2, 3)) / (exact**2).sum(axis=(1, 2, 3)))
    # The tolerance of the card bounds the error of a step; errors add over about 100 steps.
    assert error.max() < 10 * options.tolerance


def test_uniform_data_follow_the_reaction_alone():
    start = np.ones((2, 8, 8)) * np.array([0.4, -0.3])[:, None, None]
    times = np.linspace(0, 3, 7)
    ours = run(start, times)
    ode = solve_ivp(
        lambda _, y: [y[0] - y[0] ** 3 - K - y[1], y[0] - y[1]],
        (0, 3),
        [0.4, -0.3],
        t_eval=times,
        rtol=1e-10,
        atol=1e-10,
    )
    np.testing.assert_allclose(ours, np.ones((7, 2, 8, 8)) * ode.y.T[..., None, None], atol=1e-7)


def test_small_cosine_mode_grows_as_the_linearised_equations_say():
    cells, n = 32, 2
    x = (np.arange(cells) + 0.5) / cells
    mode = np.broadcast_to(np.cos(n * pi * x), (cells, cells))
    start = 1e-4 * np.stack([mode, 0.5 * mode])
    (_, end) = run(start, np.array([0.0, 1.0]), reaction_k=0.0, tolerance=1e-10)
    eigenvalue = (2 * np.cos(n * pi / cells) - 2) / (2 / cells) ** 2
    matrix = np.array(
        [[DIFFUSIONS[0] * eigenvalue + 1, -1.0], [1.0, DIFFUSIONS[1] * eigenvalue - 1]]
    )
    values, vectors = np.linalg.eig(matrix)
    growth = (vectors * np.exp(values)) @ np.linalg.inv(vectors)
    exact = (growth @ np.array([1.0, 0.5])).real * 1e-4
    # The cube of 1e-4 is below the tolerance.
    np.testing.assert_allclose(end, exact[:, None, None] * mode, atol=1e-9)


def test_no_flux_leaves_the_mean_of_v_to_the_reaction(rng):
    start = rng.standard_normal((2, 16, 16))
    start[0] = 0.0
    rates = (run(start, np.array([0.0, 1e-4]))[1] - start).mean(axis=(1, 2)) / 1e-4
    means = start.mean(axis=(1, 2))
    # A first difference of step 1e-4: its error is half a step times rates of order one.
    assert rates[1] == pytest.approx(means[0] - means[1], abs=5e-4)


def test_mirror_image_gives_the_mirror_image(rng):
    start, times = rng.standard_normal((2, 12, 12)), np.array([0.0, 0.5])
    end = run(start, times)[1]
    np.testing.assert_allclose(run(start[:, ::-1], times)[1], end[:, ::-1], atol=1e-7)
    np.testing.assert_allclose(
        run(start.transpose(0, 2, 1), times)[1], end.transpose(0, 2, 1), atol=1e-7
    )


def test_smooth_solution_converges_at_second_order():
    ends = []
    for cells in (8, 16, 32, 64):
        x = (np.arange(cells) + 0.5) / cells
        wave = np.cos(pi * x)[:, None] * np.cos(2 * pi * x)[None, :]
        (_, end) = run(np.stack([wave, 0.5 * wave]), np.array([0.0, 2.0]), diffusions=(0.02, 0.05))
        ends.append(end.reshape(2, 8, cells // 8, 8, cells // 8).mean(axis=(2, 4)))
    gaps = [np.abs(a - b).max() for a, b in pairwise(ends)]
    orders = np.log2(np.array(gaps[:-1]) / gaps[1:])
    assert orders[-1] == pytest.approx(2, abs=0.2)
    assert exp(-1) > gaps[-1] > 0
