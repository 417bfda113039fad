"""Burgers' equation and the heat equation: closed forms, and the same start at every resolution."""

from math import pi

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.generate.burgers import on_points, smooth_start, solve
from data_shards.generate.simulation import simulate

K = 2 * pi


def cole_hopf(viscosity: float, cells: int, times: np.ndarray) -> np.ndarray:
    """u = -2 nu phi_x / phi with phi = 1.2 + exp(-nu k^2 t) cos(k x)."""
    x, decay = np.arange(cells) / cells, np.exp(-viscosity * K**2 * times)[:, None]
    return 2 * viscosity * K * decay * np.sin(K * x) / (1.2 + decay * np.cos(K * x))


def test_a_wave_of_cole_and_hopf_is_followed():
    times = np.linspace(0, 1, 6)
    exact = cole_hopf(0.02, 128, times)
    found = solve(exact[0], times=times, advection=1.0, viscosity=0.02, max_dt=4e-3)
    assert np.abs(found - exact).max() < 1e-8 < np.abs(exact[0] - exact[-1]).max()


def test_halving_the_step_leaves_a_sixteenth_of_the_error():
    times = np.linspace(0, 0.5, 3)
    exact = cole_hopf(0.02, 128, times)
    errors = [
        np.abs(solve(exact[0], times=times, advection=1.0, viscosity=0.02, max_dt=dt) - exact).max()
        for dt in (0.05, 0.025)
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.3)


def test_heat_decays_wave_by_wave_whatever_the_step():
    x, times = np.arange(64) / 64, np.array([0.0, 0.4, 0.8])
    start = np.sin(K * x) + 0.5 * np.cos(3 * K * x + 1)
    found = solve(start, times=times, advection=0.0, viscosity=0.01, max_dt=1.0)
    decay = np.exp(-0.01 * K**2 * times)[:, None]
    exact = decay * np.sin(K * x) + 0.5 * decay**9 * np.cos(3 * K * x + 1)
    np.testing.assert_allclose(found, exact, atol=1e-14)


def test_the_mean_of_a_periodic_line_stays_what_it_is():
    start = 0.3 + smooth_start(np.array([1.0, -0.4]), np.array([0.1, 2.0]), 1.0, 128)
    times = np.linspace(0, 0.5, 3)
    found = solve(start, times=times, advection=1.0, viscosity=0.01, max_dt=5e-3)
    np.testing.assert_allclose(found.mean(1), 0.3, atol=1e-14)


@pytest.mark.parametrize("name", ["burgers", "heat"])
def test_a_trajectory_is_the_same_on_coarser_points(name):
    card = load_card(name).model_copy(update={"frames": 3})
    fine, coarse = (
        simulate(card, split="train", index=1, seed=0, resolution=points) for points in (64, 32)
    )
    assert fine.fields.shape == (3, 1, 1, 64)
    expected = on_points(fine.fields[:, 0, 0].astype(np.float64), 32)
    np.testing.assert_allclose(coarse.fields[:, 0, 0], expected, atol=1e-6)
    assert np.abs(fine.fields[0]).max() <= 1.0
    assert coarse.parameters == {"advection": float(name == "burgers"), "viscosity": 0.01}
