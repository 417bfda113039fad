"""Resonances of Helmholtz' equation on a periodic square: omega in, its distance from one out.

-D lap(u) - omega u = f has no bounded answer where omega is an eigenvalue of -D lap,
D (2 pi / L)^2 |k|^2 with |k|^2 a sum of two squares: .3948 times 0, 1, 2, 4, 5, 8, 9, 10, 13, ...
for D = .01 and L = 1. Near one, u is one wave, as large as its distance is small.
"""

from math import ceil, pi, sqrt


def resonance_distance(omega: float, diffusion: float = 0.01, length: float = 1.0) -> float:
    """How far omega is from the nearest resonance, in its own unit.

    It is the least factor by which the operator multiplies any wave, so an error is at most the
    residual over it (see `residuals`).
    """
    spacing = diffusion * (2 * pi / length) ** 2
    most = ceil(sqrt(max(omega, 0.0) / spacing)) + 1  # cycles along a side, beyond omega
    squares = {a * a + b * b for a in range(most + 1) for b in range(a + 1)}
    return min(abs(spacing * square - omega) for square in squares)
