"""The steady cavity against published tables, at Reynolds numbers 100, 400 and 1000.

Ghia, Ghia and Shin, J. Comput. Phys. 48 (1982), tables I and II: u on the vertical centre
line and v on the horizontal one. Botella and Peyret, Computers & Fluids 27 (1998): the
extremes at Re 1000, by a spectral method, to seven digits.
"""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from data_shards.generate.staggered import StaggeredFlow

Y = [0.9766, 0.9688, 0.9609, 0.9531, 0.8516, 0.7344, 0.6172, 0.5, 0.4531, 0.2813, 0.1719, 0.1016,
     0.0703, 0.0625, 0.0547]  # fmt: skip
U = {
    100: [0.84123, 0.78871, 0.73722, 0.68717, 0.23151, 0.00332, -0.13641, -0.20581, -0.21090,
          -0.15662, -0.10150, -0.06434, -0.04775, -0.04192, -0.03717],
    400: [0.75837, 0.68439, 0.61756, 0.55892, 0.29093, 0.16256, 0.02135, -0.11477, -0.17119,
          -0.32726, -0.24299, -0.14612, -0.10338, -0.09266, -0.08186],
    1000: [0.65928, 0.57492, 0.51117, 0.46604, 0.33304, 0.18719, 0.05702, -0.06080, -0.10648,
           -0.27805, -0.38289, -0.29730, -0.22220, -0.20196, -0.18109],
}  # fmt: skip
X = [0.9688, 0.9609, 0.9531, 0.9453, 0.9063, 0.8594, 0.8047, 0.5, 0.2344, 0.2266, 0.1563, 0.0938,
     0.0781, 0.0703, 0.0625]  # fmt: skip
V = {
    100: [-0.05906, -0.07391, -0.08864, -0.10313, -0.16914, -0.22445, -0.24533, 0.05454, 0.17527,
          0.17507, 0.16077, 0.12317, 0.10890, 0.10091, 0.09233],
    # At x = 0.9063 the table prints -0.23827, between neighbours of -0.228 and -0.450 that a
    # parabola joins at -0.38: a misprint, left out.
    400: [-0.12146, -0.15663, -0.19254, -0.22847, np.nan, -0.44993, -0.38598, 0.05186, 0.30174,
          0.30203, 0.28124, 0.22965, 0.20920, 0.19713, 0.18360],
    1000: [-0.21388, -0.27669, -0.33714, -0.39188, -0.51550, -0.42665, -0.31966, 0.02526, 0.32235,
           0.33075, 0.37095, 0.32627, 0.30353, 0.29012, 0.27485],
}  # fmt: skip


def centre_lines(reynolds: float, cells: int, time: float) -> tuple[CubicSpline, CubicSpline]:
    """u over y at x = 1/2 and v over x at y = 1/2, the walls included."""
    flow = StaggeredFlow((cells, cells), (1.0, 1.0), 1 / reynolds, lid=1.0)
    flow.advance(1.0)  # the lid's speed is known to the time step from the start, the jets' not
    flow.advance(time - 1.0)
    assert np.abs(flow.divergence()).max() < 1e-12 * cells
    places = np.concatenate([[0], (np.arange(cells) + 0.5) / cells, [1]])
    u = np.concatenate([[0], flow.u[:, cells // 2], [1]])
    v = np.concatenate([[0], flow.v[cells // 2], [0]])
    return CubicSpline(places, u), CubicSpline(places, v)


@pytest.mark.parametrize(
    ("reynolds", "cells", "time", "of_u", "of_v"),
    [
        # Ghia's own error: on 32, 48, 64 cells u at the centre converges at second order to
        # -0.2092 where he has -0.2058, and the lowest v to -0.254 where he has -0.245.
        (100, 48, 20, 4.5e-3, 1e-2),
        # Second-order errors of 96 cells, an eighth of the largest gradient per cell squared.
        pytest.param(400, 96, 40, 3e-3, 5e-3, marks=pytest.mark.slow),
        # As much again is Ghia's: his extremes are up to 1.2e-2 off those of Botella and Peyret.
        pytest.param(1000, 96, 60, 8e-3, 1e-2, marks=pytest.mark.slow),
    ],
)
def test_steady_cavity_agrees_with_ghia(reynolds, cells, time, of_u, of_v):
    u, v = centre_lines(reynolds, cells, time)
    np.testing.assert_allclose(u(Y), U[reynolds], atol=of_u)
    known = ~np.isnan(V[reynolds])
    np.testing.assert_allclose(v(X)[known], np.array(V[reynolds])[known], atol=of_v)
    if reynolds == 100:
        assert u(0.5) == pytest.approx(-0.2092, abs=2e-3)


@pytest.mark.slow
def test_extremes_at_reynolds_1000_are_within_two_percent_of_a_spectral_solution():
    u, v = centre_lines(1000, 96, 60)
    places = np.linspace(0, 1, 2001)
    # Second order: 1 to 2 % at 96 cells, 2.25 times that at 64.
    assert u(places[places < 0.9]).min() == pytest.approx(-0.3885698, rel=0.02)
    assert v(places).max() == pytest.approx(0.3769447, rel=0.02)
    assert v(places).min() == pytest.approx(-0.5270771, rel=0.02)
