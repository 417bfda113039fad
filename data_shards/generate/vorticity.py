"""Forced vorticity equation on the periodic unit square: initial field in, frames out.

Axes: H rows (y), W columns (x) of an N x N grid, points at (i / N, j / N).
Spectra are those of `rfft2` cut at the dealiasing limit: (N, N // 3 + 1).
Source: corpora of the Fourier neural operator (arXiv:2010.08895); exponential
time differencing of Cox and Matthews with the contour integrals of Kassam and
Trefethen (SIAM J. Sci. Comput. 26, 2005). Departures: the time step follows
the speed instead of being fixed, the initial field has no waves beyond `band`, and
the advection term is evaluated in single precision.
"""

from functools import lru_cache
from math import isfinite, pi, sqrt
from typing import Literal

import numpy as np
import scipy.fft
import scipy.special
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, num_steps

Spectrum = NDArray[np.complex128]

BAND = 21  # wave numbers that a 64-cell grid carries unaliased
GRF_ALPHA, GRF_TAU = 2.5, 7.0
# Variance of the complex numbers that make the initial field: 1 in all, as the authors' present
# port draws them, or 1 of either part, as their code of 2020-21. The rms of the field follows.
Noise = Literal["one_in_all", "one_per_part"]
INITIAL_RMS: dict[Noise, float] = {"one_in_all": 0.1852, "one_per_part": 0.2620}
COURANT = 1.2  # keeps the highest advected wave inside the stability region of order four


class VorticityOptions(Config):
    """Equation and accuracy of one corpus."""

    viscosity: PositiveFloat
    forcing: float = 0.1
    # Of the initial field's periodic kernel, in sides of the square; None: the power law of FNO.
    kernel_length: PositiveFloat | None = None
    noise: Noise = "one_in_all"
    # Highest wave number of the initial field along an axis, as far as the solver's grid has it.
    band: int = Field(BAND, ge=BAND)
    # Of a coarser output than the solver's grid: the waves that it carries, or point values, in
    # which higher waves look like lower ones; the published files hold point values.
    frames: Literal["truncated", "sampled"] = "truncated"
    solver_resolution: PositiveInt = 64  # raised to the output's where that is finer
    # That the initial field is drawn on, of which a coarser solver keeps the waves that it carries;
    # None: the solver's.
    start_resolution: PositiveInt | None = None
    max_dt: PositiveFloat = 0.04


REFINED = Refinement(VorticityOptions, {"solver_resolution": 2, "max_dt": 0.5})


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory at t = 1, 2, ...; the initial field is the same at every resolution."""
    options = VorticityOptions.read(card.generator_options, f"card {card.name}")
    cells = max(resolution, options.solver_resolution)
    drawn = max(cells, options.start_resolution or cells)
    band = min(options.band, drawn // 3)
    start = gaussian_random_spectrum(rng, drawn, options.kernel_length, band)
    if drawn > cells:
        start = _carried(start, cells)
    if options.noise == "one_per_part":
        start *= sqrt(2)
    frames = solve(
        start,
        viscosity=options.viscosity,
        force=diagonal_force(cells, options.forcing),
        num_frames=card.frames,
        frame_interval=card.dt_s or 1.0,
        max_dt=options.max_dt,
    )
    stored = to_grid if options.frames == "truncated" else sampled
    fields = np.stack([stored(frame, resolution) for frame in frames])
    parameters = {"viscosity": options.viscosity, "forcing": options.forcing}
    return Solution(fields[:, None], dict(parameters))


def gaussian_random_spectrum(
    rng: np.random.Generator, cells: int, kernel_length: float | None = None, band: int = BAND
) -> Spectrum:
    """Spectrum of a Gaussian random field.

    Of tau^(alpha-1) (-lap + tau^2)^(-alpha/2) white noise, rms of the field about 0.2; or with the
    covariance exp(-2 (sin^2(pi dx) + sin^2(pi dy)) / l^2) between points, less its mean.

    Args:
        rng: gives (2, 43, 43) numbers whatever the grid, and those of higher waves after them.
        cells: N of the grid, at least 3 band.
        kernel_length: l of the covariance; None: the power law.
        band: highest wave number along either axis.

    Returns:
        (N, N // 3 + 1), zero mean.
    """
    wave = np.arange(-band, band + 1)
    if kernel_length is None:
        squared = wave[:, None] ** 2 + wave[None, :] ** 2
        amplitude = GRF_TAU ** (GRF_ALPHA - 1) * (4 * pi**2 * squared + GRF_TAU**2) ** (
            -GRF_ALPHA / 2
        )
    else:
        # exp(z cos t) is the sum of I_k(z) cos k t over all k (Jacobi-Anger); here z = 1 / l^2.
        along = np.sqrt(scipy.special.ive(wave, kernel_length**-2))
        amplitude = along[:, None] * along[None, :]
    amplitude[band, band] = 0.0
    real, imaginary = _nested_normal(rng, band)
    noise = real + 1j * imaginary
    hermitian = amplitude * (noise + noise[::-1, ::-1].conj()) / 2  # the real part of the sum
    spectrum = np.zeros((cells, cells // 3 + 1), complex)
    spectrum[np.ix_(wave % cells, np.arange(band + 1))] = hermitian[:, band:] * cells**2
    return spectrum


def _carried(spectrum: Spectrum, cells: int) -> Spectrum:
    """The waves of a spectrum (N, N // 3 + 1) that a coarser grid carries after dealiasing."""
    highest = cells // 3
    wave = np.arange(-highest, highest + 1)
    kept = np.zeros((cells, highest + 1), complex)
    kept[wave % cells] = spectrum[wave % len(spectrum), : highest + 1]
    kept *= (cells / len(spectrum)) ** 2
    return kept


def _nested_normal(rng: np.random.Generator, band: int) -> Array:
    """(2, 2 band + 1, 2 band + 1) normal numbers, the same for the lower waves of every band."""
    lower = rng.standard_normal((2, 2 * BAND + 1, 2 * BAND + 1))
    if band == BAND:
        return lower
    numbers = rng.standard_normal((2, 2 * band + 1, 2 * band + 1))
    inner = slice(band - BAND, band + BAND + 1)
    numbers[:, inner, inner] = lower
    return numbers


def diagonal_force(cells: int, amplitude: float) -> Spectrum:
    """Spectrum of amplitude (sin 2pi(x+y) + cos 2pi(x+y))."""
    x = np.arange(cells) / cells
    phase = 2 * pi * (x[:, None] + x[None, :])
    return to_spectrum(amplitude * (np.sin(phase) + np.cos(phase)))


def to_spectrum(field: Array) -> Spectrum:
    """Spectrum (N, N // 3 + 1) of a field (N, N) without aliased waves."""
    cells = field.shape[0]
    return np.asarray(scipy.fft.rfft2(field)[:, : cells // 3 + 1])


def to_grid(spectrum: Spectrum, resolution: int) -> Array:
    """The field on a grid no finer than the solver's, waves beyond that grid left out."""
    cells = spectrum.shape[0]
    half = min((resolution + 1) // 2, spectrum.shape[1])  # without the unpaired wave
    kept = np.zeros((resolution, resolution // 2 + 1), complex)
    rows, columns = np.arange(-half + 1, half), np.arange(half)
    kept[np.ix_(rows % resolution, columns)] = spectrum[np.ix_(rows % cells, columns)]
    scale = (resolution / cells) ** 2
    return np.asarray(scipy.fft.irfft2(kept * scale, s=(resolution, resolution)))


def sampled(spectrum: Spectrum, resolution: int) -> Array:
    """Point values at i / R on any grid of R points: waves beyond R / 2 look like lower ones."""
    cells = spectrum.shape[0]
    rows = np.fft.fftfreq(cells, 1 / cells).astype(int) % resolution
    columns = np.arange(spectrum.shape[1]) % resolution
    twice = np.where(np.arange(spectrum.shape[1]) > 0, 2.0, 1.0)  # a wave and its conjugate
    folded = np.zeros((resolution, resolution), complex)
    np.add.at(folded, np.ix_(rows, columns), spectrum * twice)
    field: Array = scipy.fft.ifft2(folded).real * (resolution / cells) ** 2
    return field


def solve(
    start: Spectrum,
    *,
    viscosity: float,
    force: Spectrum,
    num_frames: int,
    frame_interval: float,
    max_dt: float,
) -> list[Spectrum]:
    """Spectra of the vorticity after 1, 2, ... frame intervals.

    Args:
        start: initial spectrum (N, N // 3 + 1).
        viscosity: kinematic, dimensionless.
        force: spectrum of the forcing, (N, N // 3 + 1).
        num_frames: T.
        frame_interval: time between frames.
        max_dt: bound of the time step; the Courant number bounds it too.
    """
    cells = start.shape[0]
    advection = _Advection(cells, force)
    w = start * advection.kept
    frames = []
    for _ in range(num_frames):
        fastest = advection.max_speed(w) * cells / COURANT
        stable_dt = 1 / max(1 / max_dt, fastest) if isfinite(fastest) else fastest
        steps = num_steps(frame_interval, stable_dt)
        stepper = _coefficients(cells, viscosity, frame_interval / steps)
        for _ in range(steps):
            w = _etdrk4_step(w, advection, stepper)
        frames.append(w)
    return frames


class _Advection:
    """-u.grad(w) + f in spectral space, from two inverse and two forward transforms.

    u.grad(w) = d_xy(v^2 - u^2) + (d_xx - d_yy)(u v) where div(u) = 0. Transforms run in
    single precision: their round-off is orders below the truncation error of the grid.
    """

    def __init__(self, cells: int, force: Spectrum) -> None:
        kx, ky, squared = _waves(cells)
        inverse = 1.0 / np.where(squared > 0, squared, np.inf)
        self.to_velocity = np.stack([1j * ky * inverse, -1j * kx * inverse]).astype(np.complex64)
        kept = np.maximum(np.abs(kx), np.abs(ky)) < 2 * pi * cells / 3
        self.kept = kept
        self.of_difference = (kx * ky * kept).astype(np.float32)
        self.of_product = ((kx**2 - ky**2) * kept).astype(np.float32)
        self.force = force * kept
        self.cells = cells

    def velocity(self, w: Spectrum) -> NDArray[np.float32]:
        """(2, N, N): u and v on the grid."""
        columns = scipy.fft.ifft(self.to_velocity * w.astype(np.complex64), axis=1, workers=1)
        return np.asarray(scipy.fft.irfft(columns, n=self.cells, axis=2, workers=1))

    def max_speed(self, w: Spectrum) -> float:
        """Largest |u| + |v|."""
        u, v = self.velocity(w)
        return float((np.abs(u) + np.abs(v)).max())

    def __call__(self, w: Spectrum) -> Spectrum:
        u, v = velocity = self.velocity(w)
        product = u * v
        velocity[0] = (v - u) * (v + u)
        velocity[1] = product
        rows = scipy.fft.rfft(velocity, axis=2, workers=1)[:, :, : w.shape[1]]
        difference, product = scipy.fft.fft(rows, axis=1, workers=1)
        difference *= self.of_difference
        product *= self.of_product
        difference += product
        return np.asarray(difference + self.force)


def _waves(cells: int) -> tuple[Array, Array, Array]:
    kx = np.asarray(2 * pi * np.arange(cells // 3 + 1.0)[None, :], np.float64)
    ky = np.asarray(2 * pi * np.fft.fftfreq(cells, 1 / cells)[:, None], np.float64)
    return kx, ky, kx**2 + ky**2


@lru_cache(maxsize=8)
def _coefficients(cells: int, viscosity: float, dt: float) -> tuple[Array, ...]:
    """exp(L dt), exp(L dt / 2) and the four weights of the scheme; means over a unit circle
    around L dt, where the formulas do not cancel."""
    squared = _waves(cells)[2]
    values, where = np.unique(-viscosity * squared * dt, return_inverse=True)
    circle = np.exp(1j * pi * (np.arange(32) + 0.5) / 32)
    z = values[:, None] + circle
    e = np.exp(z)
    weights = (
        (np.exp(z / 2) - 1) / z,
        (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
        (2 + z + e * (z - 2)) / z**3,
        (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
    )
    shape = squared.shape
    averaged = [(dt * weight.mean(axis=1).real)[where].reshape(shape) for weight in weights]
    decay = np.exp(values)[where].reshape(shape)
    return (decay, np.sqrt(decay), *averaged)


def _etdrk4_step(w: Spectrum, advection: _Advection, stepper: tuple[Array, ...]) -> Spectrum:
    decay, half_decay, q, first, middle, last = stepper
    at_w = advection(w)
    relaxed = half_decay * w
    a = relaxed + q * at_w
    at_a = advection(a)
    at_b = advection(relaxed + q * at_a)
    at_c = advection(half_decay * a + q * (2 * at_b - at_w))
    at_a += at_b
    result: Spectrum = decay * w + first * at_w + 2 * middle * at_a + last * at_c
    return result
