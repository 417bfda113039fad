"""The fit of alpha and beta finds what points were made of."""

import numpy as np
import pytest

from foundation.plan.fit import Point, fitted

SIZES = [2**power for power in range(10, 26, 3)]


@pytest.mark.parametrize(("alpha", "beta"), [(3.4e-6, 2.2e-12), (1e-3, 0.0), (0.0, 1e-9)])
def test_known_constants_are_found(alpha, beta):
    points = [Point(7, n, 7 * alpha + n * beta) for n in SIZES]
    fit = fitted(points)
    assert fit.alpha == pytest.approx(alpha, rel=1e-6, abs=1e-15)
    assert fit.beta == pytest.approx(beta, rel=1e-6, abs=1e-20)
    assert fit.residual < 1e-6


def test_noise_of_a_tenth_is_the_residual_and_moves_constants_by_about_as_much():
    noise = np.random.default_rng(0)
    points = [
        Point(1, n, (2e-5 + n * 1e-9) * (1 + 0.1 * noise.standard_normal()))
        for n in SIZES
        for _ in range(20)
    ]
    fit = fitted(points)
    assert fit.alpha == pytest.approx(2e-5, rel=0.1)
    assert fit.beta == pytest.approx(1e-9, rel=0.1)
    assert fit.residual == pytest.approx(0.1, rel=0.25)


def test_constants_are_never_negative():
    fit = fitted([Point(1, 1e3, 2e-3), Point(1, 1e6, 1e-3)])
    assert fit.alpha > 0
    assert fit.beta == 0


@pytest.mark.parametrize(
    "points", [[], [Point(1, 8, 1)], [Point(1, 8, 1), Point(1, 8, 2)], [Point(1, 0, 1)] * 3]
)
def test_points_without_a_difference_are_refused(points):
    with pytest.raises(ValueError, match="differ"):
        fitted(points)
