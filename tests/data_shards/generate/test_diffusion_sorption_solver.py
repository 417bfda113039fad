"""Laws of the diffusion-sorption solver."""

from itertools import pairwise
from math import cos, pi, sin

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from data_shards.catalogue import load_card
from data_shards.generate import diffusion_sorption
from data_shards.generate.diffusion_sorption import (
    DiffusionSorptionOptions,
    Isotherm,
    draw_start,
    generate,
)
from data_shards.generate.solution import Array

D = 5e-4
PUBLISHED = Isotherm()
LINEAR = Isotherm(freundlich_n=1.0)


def run(start: Array, times: Array, **changes: object) -> Array:
    options = {"diffusion": D, "isotherm": PUBLISHED, "tolerance": 1e-9} | changes
    return diffusion_sorption.solve(start, times=times, **options)


def reference_rate(u: Array, retardation: Array) -> Array:
    """The same semi-discretisation from fluxes through the cells' ends."""
    cell = 1 / len(u)
    at_right = u[-1] / (1 + cell / (2 * D))  # where u = -D u_x meets the last cell's slope
    flux = -D * np.diff(u) / cell
    flux = np.concatenate([[-D * (u[0] - 1) / (cell / 2)], flux, [at_right]])
    return -np.diff(flux) / cell / retardation


def test_all_frames_agree_with_an_independent_integration_at_tight_tolerance():
    tolerance = DiffusionSorptionOptions().tolerance
    start, times = np.full(96, 0.07), np.arange(101) * 5.0
    ours = run(start, times, tolerance=tolerance)
    factor = 0.71 / 0.29 * 2880 * 3.5e-4 * 0.874  # the published constants, by hand
    oracle = solve_ivp(
        lambda _, u: reference_rate(u, 1 + factor * (u + 1e-6) ** (0.874 - 1)),
        (0, 500),
        start,
        method="DOP853",
        t_eval=times,
        rtol=1e-11,
        atol=1e-12,
    )
    error = np.abs(ours - oracle.y.T).max(axis=1)
    # Errors of a few hundred steps add, each within the tolerance of values up to 1.
    assert error.max() < 100 * tolerance


def test_refined_runs_converge_at_second_order_to_the_same_solution():
    times = np.array([0.0, 5.0, 100.0, 500.0])
    coarse = [
        run(np.full(cells, 0.1), times).reshape(4, 32, -1).mean(axis=2)[1:]
        for cells in (64, 128, 256, 512)
    ]
    gaps = [np.abs(a - b).max() for a, b in pairwise(coarse)]
    assert gaps[-2] / gaps[-1] == pytest.approx(4, rel=0.15)


def test_the_limit_of_long_times_is_the_straight_line_to_the_outflow():
    cells = 64
    end = run(np.full(cells, 0.15), np.array([0.0, 1e5]))[-1]
    x = (np.arange(cells) + 0.5) / cells
    np.testing.assert_allclose(end, 1 - x / (1 + D), atol=1e-6)


def test_linear_isotherm_follows_the_series_of_the_heat_equation():
    level, time, cells = 0.12, 150.0, 256
    retardation = 1 + LINEAR.strength
    x = (np.arange(cells) + 0.5) / cells
    slope = 1 / (1 + D)
    exact = 1 - slope * x
    for n in range(1, 200):
        # sin b + D b cos b = 0: u = -D u_x at the end; the roots lie just above n pi - pi / 2.
        b = brentq(lambda z: sin(z) + D * z * cos(z), (n - 0.5) * pi, (n + 0.5) * pi)
        norm = 0.5 - sin(2 * b) / (4 * b)
        constant = (level - 1) * (1 - cos(b)) / b
        ramp = slope * (sin(b) / b**2 - cos(b) / b)
        weight = (constant + ramp) / norm
        exact += weight * np.sin(b * x) * np.exp(-D / retardation * b**2 * time)
    ours = run(np.full(cells, level), np.array([0.0, time]), isotherm=LINEAR)[-1]
    # Second order: the front is about 0.3 wide, (1/256 / 0.3)^2 = 2e-4, less for the weights.
    np.testing.assert_allclose(ours, exact, atol=5e-5)


def test_stored_substance_changes_by_what_crosses_the_ends():
    cells = 128
    times = np.linspace(0, 50, 501)
    frames = run(np.full(cells, 0.1), times)
    n = PUBLISHED.freundlich_n
    stored = (frames + PUBLISHED.strength * (frames + 1e-6) ** n).mean(axis=1)
    inflow = D * (1 - frames[:, 0]) * 2 * cells
    outflow = frames[:, -1] / (1 + 1 / (2 * D * cells))
    late = slice(100, None)  # the trapezoidal sum does not resolve the first instants
    gained = np.trapezoid((inflow - outflow)[late], times[late])
    assert stored[-1] - stored[100] == pytest.approx(gained, rel=1e-3)


def test_concentrations_stay_between_nothing_and_saturation_and_fall_along_x():
    frames = run(np.full(128, 0.19), np.arange(0, 501, 5.0), tolerance=1e-6)
    assert frames.min() > 0
    assert frames.max() < 1
    assert (np.diff(frames[1:], axis=1) < 1e-9).all()


def test_a_failed_integration_is_an_arithmetic_error():
    with np.errstate(invalid="ignore"), pytest.raises(ArithmeticError, match="integration failed"):
        run(np.full(16, -0.5), np.array([0.0, 1.0]))  # no power of a negative concentration


def test_coarse_trajectories_are_averages_of_fine_ones():
    card = load_card("pdebench_diff_sorp")
    fine, coarse = (
        generate(card, np.random.default_rng(3), index=0, resolution=cells) for cells in (1024, 64)
    )
    assert fine.fields.shape == (101, 1, 1, 1024)
    assert fine.parameters == coarse.parameters
    averages = fine.fields.reshape(101, 1, 1, 64, 16).mean(axis=-1)
    np.testing.assert_allclose(averages, coarse.fields, atol=1e-12)
    np.testing.assert_allclose(fine.fields[0], fine.parameters["initial_level"], rtol=1e-12)


def test_starts_that_vary_do_so_within_the_range_and_alike_at_every_resolution():
    options = DiffusionSorptionOptions(initial=(0.05, 0.15), waves=4)
    coarse, fine = (draw_start(np.random.default_rng(2), options, cells) for cells in (32, 96))
    assert 0.05 <= fine.min() < fine.max() <= 0.15
    assert np.ptp(fine) > 0.02
    # cells share their centres
    np.testing.assert_allclose(fine[1::3], coarse, rtol=1e-12)
    level = draw_start(np.random.default_rng(2), DiffusionSorptionOptions(), 8)
    assert (level == np.random.default_rng(2).uniform(0, 0.2)).all()
