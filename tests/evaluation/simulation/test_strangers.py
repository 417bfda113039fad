"""The simulations of the study of strangers solve their equations: closed forms."""

import numpy as np
import pytest

from evaluation.studies.strangers.simulations import SIMULATIONS, Equation, Plane


def test_a_plane_wave_of_the_nonlinear_schroedinger_equation_turns_as_it_should() -> None:
    plane = Plane(20.0, 16)
    wave, amplitude = 2 * np.pi / 20, 0.7
    x = plane.place[None, None, :] + np.zeros((1, 16, 1))
    own = SIMULATIONS["nonlinear Schroedinger"](16)
    start = amplitude * np.exp(1j * wave * x)
    frames = Equation(own.linear, own.rest, start, 0.1, 8, shown=own.shown).frames(11)
    # i u_t = -u_xx / 2 + |u|^2 u after t = 1; stages of Runge-Kutta err by about 1e-8.
    angle = wave * x[0] - (wave**2 / 2 + amplitude**2)
    np.testing.assert_allclose(frames[10, 0], amplitude * np.cos(angle), atol=1e-6)
    np.testing.assert_allclose(frames[10, 1], amplitude * np.sin(angle), atol=1e-6)


def test_a_soliton_of_zakharov_and_kuznetsov_keeps_its_shape_along_a_line() -> None:
    plane = Plane(30.0, 64)
    x = plane.place[None, :] + np.zeros((64, 1))
    speed = 1.0
    own = SIMULATIONS["Zakharov-Kuznetsov"](64)
    without = (1j * plane.kx * plane.k2)[None]  # the study's has a little dissipation

    def soliton(middle: float) -> np.ndarray:
        return 3 * speed / np.cosh(0.5 * np.sqrt(speed) * (x - middle)) ** 2

    frames = Equation(without, own.rest, soliton(10.0)[None], 0.15, 30).frames(21)
    # Neighbours of a periodic line overlap by 3 exp(-15); the grid resolves waves to 1e-4.
    np.testing.assert_allclose(frames[20, 0], soliton(13.0), atol=2e-3)


@pytest.mark.parametrize("name", SIMULATIONS)
def test_every_simulation_stays_finite_and_moves(name: str) -> None:
    fields = SIMULATIONS[name](48).frames(3)
    assert np.isfinite(fields).all()
    assert np.abs(fields[2] - fields[1]).max() > 1e-4 * np.abs(fields[1]).max()


@pytest.mark.parametrize("name", SIMULATIONS)
def test_runs_begin_otherwise(name: str) -> None:
    """Else what is learnt from some of them is tested on the same."""
    one, other = (SIMULATIONS[name](48, run).start for run in (1, 2))
    assert np.abs(one - other).max() > 0.1 * np.abs(one).max()
