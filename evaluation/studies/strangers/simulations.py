"""Simulations of equations that no corpus holds, by one pseudo-spectral solver.

Periodic squares; linear terms by their exact exponential, the rest by four stages of Runge-Kutta
(the integrating-factor form; Kassam and Trefethen, SIAM J. Sci. Comput. 26, 2005, call it IFRK4),
products dealiased by the two-thirds rule. Float64.
Axes: T frames, C channels, N rows and columns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.inexact]  # real, or complex where an equation is
Spectrum = NDArray[np.complexfloating]


class Plane:
    """A periodic square of N cells a side and its waves; `run` sows its noise."""

    def __init__(self, side: float, cells: int, run: int = 0) -> None:
        waves = 2 * np.pi / side * np.fft.fftfreq(cells, 1 / cells)
        self.cells, self.run = cells, run
        self.ky, self.kx = waves[:, None], waves[None, :]
        self.k2 = self.kx**2 + self.ky**2
        self.place = side * np.arange(cells) / cells
        kept = np.abs(waves) < 2 / 3 * np.abs(waves).max()
        self.kept = kept[:, None] & kept[None, :]

    def dx(self, spectrum: Spectrum) -> Field:
        return np.fft.ifft2(1j * self.kx * spectrum)

    def dy(self, spectrum: Spectrum) -> Field:
        return np.fft.ifft2(1j * self.ky * spectrum)

    def advected(self, stream: Spectrum, other: Spectrum) -> Field:
        """(d_y stream) (d_x other) - (d_x stream) (d_y other): advection by (d_y, -d_x) stream."""
        return self.dy(stream) * self.dx(other) - self.dx(stream) * self.dy(other)

    def noise(self, seed: int, channels: int, longest: float, size: float) -> Field:
        """Smooth random fields of mean 0: waves of some length and above, of standard size."""
        random = np.random.default_rng(seed + 1000 * self.run).standard_normal(
            (channels, self.cells, self.cells)
        )
        damp = np.exp(-0.5 * self.k2 * (longest / (2 * np.pi)) ** 2)
        damp[0, 0] = 0
        fields = np.fft.ifft2(damp * np.fft.fft2(random)).real
        scaled: Field = size * fields / fields.std((1, 2), keepdims=True)
        return scaled


@dataclass(frozen=True)
class Equation:
    """d_t u = L u + N(u), u of one or several channels.

    Attributes:
        linear: L of every wave (C, N, N).
        rest: N from the spectra (C, N, N), in space.
        start: (C, N, N), complex where the field is.
        frame: time between frames.
        substeps: of a frame.
        before: frames that are left out.
        shown: channels as a file has them (C', N, N).
    """

    linear: Field
    rest: Callable[[Spectrum], Field]
    start: Field
    frame: float
    substeps: int
    before: int = 0
    shown: Callable[[Field], Field] = np.real

    def frames(self, count: int) -> NDArray[np.float32]:
        """(T, C', N, N)."""
        step = self.frame / self.substeps
        half = np.exp(0.5 * step * self.linear)
        spectrum, shown = np.fft.fft2(self.start.astype(complex)), []
        kept = self._kept()

        def rest(values: Spectrum) -> Spectrum:
            found: Spectrum = step * kept * np.fft.fft2(self.rest(values))
            return found

        for frame in range(self.before + count):
            if frame >= self.before:
                shown.append(self.shown(np.fft.ifft2(spectrum)))
            for _ in range(self.substeps):
                a = rest(spectrum)
                b = rest(half * (spectrum + a / 2))
                c = rest(half * spectrum + b / 2)
                d = rest(half**2 * spectrum + half * c)
                spectrum = half**2 * (spectrum + a / 6) + half * (b + c) / 3 + d / 6
        return np.array(shown, np.float32)

    def _kept(self) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = Plane(1.0, self.linear.shape[-1]).kept
        return kept


def _kuramoto_sivashinsky(n: int, run: int = 0) -> Equation:
    p = Plane(44.0, n, run)

    def rest(v: Spectrum) -> Field:
        slope = p.dx(v).real ** 2 + p.dy(v).real ** 2
        left: Field = -0.5 * (slope - slope.mean())
        return left

    return Equation((p.k2 - p.k2**2)[None], rest, p.noise(1, 1, 8.0, 1.0), 0.5, 5, before=120)


def _swift_hohenberg(n: int, run: int = 0) -> Equation:
    p = Plane(40.0, n, run)

    def rest(v: Spectrum) -> Field:
        u = np.fft.ifft2(v).real
        return 1.2 * u**2 - u**3

    return Equation((0.3 - (1 - p.k2) ** 2)[None], rest, p.noise(2, 1, 4.0, 0.3), 0.5, 4, before=6)


def _cahn_hilliard(n: int, run: int = 0) -> Equation:
    p = Plane(2 * np.pi * 8, n, run)

    def rest(v: Spectrum) -> Field:
        cube = np.fft.fft2(np.fft.ifft2(v).real ** 3 - np.fft.ifft2(v).real * 2)
        return np.fft.ifft2(-p.k2 * cube).real

    # -u is split into u - 2 u, so that what is exponentiated damps.
    return Equation((-p.k2 - 0.5 * p.k2**2)[None], rest, p.noise(3, 1, 6.0, 0.3), 1.0, 25, 15)


def _allen_cahn(n: int, run: int = 0) -> Equation:
    p = Plane(1.0, n, run)
    return Equation(
        (1 - 4e-4 * p.k2)[None],
        lambda v: -(np.fft.ifft2(v).real ** 3),
        p.noise(4, 1, 0.25, 0.5), 0.3, 4, before=8,
    )  # fmt: skip


def _fisher(n: int, run: int = 0) -> Equation:
    p = Plane(40.0, n, run)
    bumps = np.clip(p.noise(5, 1, 10.0, 1.0) - 1.0, 0, 1)
    return Equation(
        (1 - 0.3 * p.k2)[None], lambda v: -(np.fft.ifft2(v).real ** 2), bumps, 0.25, 3, before=4
    )


def _brusselator(n: int, run: int = 0) -> Equation:
    p = Plane(50.0, n, run)
    a, b = 2.0, 5.2

    def rest(v: Spectrum) -> Field:
        x, y = np.fft.ifft2(v).real
        return np.stack([a + x**2 * y, b * x - x**2 * y])

    start = np.array([a, b / a])[:, None, None] + p.noise(6, 2, 8.0, 0.3)
    linear = np.stack([-(b + 1) - p.k2, -4 * p.k2])
    return Equation(linear, rest, start, 0.1, 10, before=10)


def _ginzburg_landau(n: int, run: int = 0) -> Equation:
    p = Plane(60.0, n, run)
    start = p.noise(7, 1, 10.0, 0.5) + 1j * p.noise(8, 1, 10.0, 0.5)

    def rest(v: Spectrum) -> Field:
        u = np.fft.ifft2(v)
        return -(1 - 1.2j) * np.abs(u) ** 2 * u

    return Equation((1 - (1 + 1.5j) * p.k2)[None], rest, start, 0.2, 5, 60, _parts)


def _schroedinger(n: int, run: int = 0) -> Equation:
    p = Plane(20.0, n, run)
    start = 1 + p.noise(9, 1, 4.0, 0.3) + 1j * p.noise(10, 1, 4.0, 0.3)

    def rest(v: Spectrum) -> Field:
        u = np.fft.ifft2(v)
        return -1j * np.abs(u) ** 2 * u

    return Equation((-0.5j * p.k2)[None], rest, start, 0.1, 8, shown=_parts)


def _burgers(n: int, run: int = 0) -> Equation:
    p = Plane(1.0, n, run)

    def rest(v: Spectrum) -> Field:
        u = np.fft.ifft2(v).real
        return -np.stack([u[0] * p.dx(w).real + u[1] * p.dy(w).real for w in v])

    linear = np.broadcast_to(-4e-3 * p.k2, (2, n, n))
    return Equation(linear, rest, p.noise(11, 2, 0.4, 0.3), 0.02, 4)


def _stirred_scalar(n: int, run: int = 0) -> Equation:
    p = Plane(1.0, n, run)
    x, y = p.place[None, :], p.place[:, None]
    stream = np.fft.fft2(0.05 * np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y) + 0 * x * y)

    def rest(v: Spectrum) -> Field:
        return -p.advected(stream, v[0]).real[None]

    return Equation((-2e-4 * p.k2)[None], rest, p.noise(12, 1, 0.3, 1.0), 0.05, 3)


def _drift_waves(n: int, run: int = 0) -> Equation:
    """Charney, Hasegawa and Mima: the vorticity of a plasma's or a planet's drift waves."""
    p = Plane(40.0, n, run)
    inverse = -1 / (p.k2 + 1)

    def rest(v: Spectrum) -> Field:
        return -p.advected(inverse * v[0], v[0]).real[None]

    linear = (1j * p.kx / (p.k2 + 1) - 1e-3 * p.k2**2)[None]
    return Equation(linear, rest, p.noise(13, 1, 8.0, 1.5), 0.5, 5, before=4)


def _zakharov_kuznetsov(n: int, run: int = 0) -> Equation:
    p = Plane(30.0, n, run)
    x, y = p.place[None, :], p.place[:, None]
    random = np.random.default_rng(run)
    (x0, y0), (x1, y1) = random.uniform(-4, 4, (2, 2)) if run else np.zeros((2, 2))
    humps = 2.4 * np.exp(-((x - x0 - 8) ** 2 + (y - y0 - 12) ** 2) / 8)
    humps += 1.2 * np.exp(-((x - x1 - 18) ** 2 + (y - y1 - 18) ** 2) / 10)

    def rest(v: Spectrum) -> Field:
        u = np.fft.ifft2(v).real
        return -0.5 * np.fft.ifft2(1j * p.kx * np.fft.fft2(u**2)).real

    linear = (1j * p.kx * p.k2 - 1e-3 * p.k2**2)[None]
    return Equation(linear, rest, humps[None], 0.15, 6)


def _magnetised_flow(n: int, run: int = 0) -> Equation:
    """Two-dimensional magnetohydrodynamics: vorticity and the potential of the field."""
    p = Plane(2 * np.pi, n, run)
    inverse = np.divide(1.0, p.k2, out=np.zeros_like(p.k2), where=p.k2 > 0)

    def rest(v: Spectrum) -> Field:
        vorticity, potential = v
        stream, current = inverse * vorticity, p.k2 * potential
        return np.stack([
            -p.advected(stream, vorticity) + p.advected(potential, current),
            -p.advected(stream, potential),
        ]).real  # fmt: skip

    linear = np.broadcast_to(-5e-3 * p.k2, (2, n, n))
    start = np.concatenate([p.noise(14, 1, 2.5, 1.0), p.noise(15, 1, 3.0, 0.3)])
    return Equation(linear, rest, start, 0.05, 4)


def _sine_gordon(n: int, run: int = 0) -> Equation:
    """As u and its rate, with the rate damped a little."""
    p = Plane(30.0, n, run)

    def rest(v: Spectrum) -> Field:
        u, rate = np.fft.ifft2(v).real
        return np.stack([rate, np.fft.ifft2(-p.k2 * v[0]).real - np.sin(u) - 0.02 * rate])

    start = np.concatenate([p.noise(16, 1, 8.0, 1.5), 0 * p.noise(17, 1, 8.0, 1.0)])
    return Equation(np.zeros((2, n, n)), rest, start, 0.2, 4)


def _heat(n: int, run: int = 0) -> Equation:
    p = Plane(1.0, n, run)
    linear = (-2e-3 * p.kx**2 - 5e-4 * p.ky**2)[None]
    start = 2 + p.noise(18, 1, 0.2, 1.0)
    return Equation(linear, lambda v: 0 * v.real, start, 0.2, 1, before=1)


def _surface_growth(n: int, run: int = 0) -> Equation:
    """Kardar, Parisi and Zhang without noise: growth along the normal of a surface."""
    p = Plane(1.0, n, run)
    return Equation(
        (-4e-3 * p.k2)[None],
        lambda v: 0.5 * (p.dx(v).real ** 2 + p.dy(v).real ** 2),
        p.noise(19, 1, 0.3, 0.05), 0.03, 3,
    )  # fmt: skip


def _parts(u: Field) -> Field:
    """Real and imaginary part as two channels."""
    return np.concatenate([u.real, u.imag])


SIMULATIONS: dict[str, Callable[..., Equation]] = {
    "Kuramoto-Sivashinsky": _kuramoto_sivashinsky,
    "Swift-Hohenberg": _swift_hohenberg,
    "Cahn-Hilliard": _cahn_hilliard,
    "Allen-Cahn": _allen_cahn,
    "Fisher-KPP": _fisher,
    "Brusselator": _brusselator,
    "Ginzburg-Landau": _ginzburg_landau,
    "nonlinear Schroedinger": _schroedinger,
    "Burgers of two components": _burgers,
    "stirred scalar": _stirred_scalar,
    "drift waves": _drift_waves,
    "Zakharov-Kuznetsov": _zakharov_kuznetsov,
    "magnetised flow": _magnetised_flow,
    "sine-Gordon": _sine_gordon,
    "anisotropic heat": _heat,
    "surface growth": _surface_growth,
}
