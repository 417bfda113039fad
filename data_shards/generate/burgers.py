"""Burgers' equation and the heat equation on a periodic line: a smooth start in, frames out.

Axes: T frames, W points along x at i / W; as fields (T, 1, 1, W).
    u_t + c u u_x = nu u_xx,   c = 1 Burgers, c = 0 heat
The start is a sum of waves 1 to `waves` with random heights, falling as 1 / k, and phases,
scaled to a largest value of `amplitude`. Fourier pseudo-spectral without aliases; exponential
time differencing of order four (Cox and Matthews; Kassam and Trefethen, as in `vorticity`), so
that diffusion alone is exact.
On a coarser grid waves that it does not resolve are left out.
"""

from collections.abc import Callable
from math import ceil, pi

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution

Waves = NDArray[np.complex128]


class BurgersOptions(Config):
    """Equation, start and accuracy."""

    advection: NonNegativeFloat = 1.0  # c
    viscosity: PositiveFloat = 0.01
    waves: PositiveInt = 3
    amplitude: PositiveFloat = 1.0
    solver_resolution: PositiveInt = 256
    max_dt: PositiveFloat = 1e-3


REFINED = Refinement(BurgersOptions, {"solver_resolution": 2, "max_dt": 0.5})


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory from t = 0 on; the start is the same at every resolution."""
    options = BurgersOptions.read(card.generator_options, f"card {card.name}")
    cells = max(resolution, options.solver_resolution)
    heights = rng.standard_normal(options.waves) / np.arange(1, options.waves + 1)
    phases = rng.uniform(0, 2 * pi, options.waves)
    frames = solve(
        smooth_start(heights, phases, options.amplitude, cells),
        times=np.arange(card.frames, dtype=np.float64) * (card.dt_s or 1.0),
        advection=options.advection,
        viscosity=options.viscosity,
        max_dt=options.max_dt,
    )
    fields = on_points(frames, resolution)[:, None, None]
    parameters = {"advection": options.advection, "viscosity": options.viscosity}
    return Solution(fields, dict(parameters))


def smooth_start(heights: Array, phases: Array, amplitude: float, cells: int) -> Array:
    """The start (W,), scaled by its largest value on a fine grid."""
    number = np.arange(1, len(heights) + 1)[:, None]

    def summed(points: int) -> Array:
        x = np.arange(points) / points
        return np.asarray((heights[:, None] * np.cos(2 * pi * number * x + phases[:, None])).sum(0))

    return np.asarray(amplitude * summed(cells) / np.abs(summed(1024)).max())


def solve(
    start: Array, *, times: Array, advection: float, viscosity: float, max_dt: float
) -> Array:
    """Values (T, W) at the given times.

    Args:
        start: (W,) at times[0], on the unit interval.
        times: (T,), evenly spaced.
        advection: c.
        viscosity: nu.
        max_dt: bound of the time step.
    """
    cells, interval = len(start), float(times[1] - times[0])
    k = 2 * pi * np.arange(cells // 2 + 1)
    kept = k < 2 * pi * cells / 3  # beyond, products fold back
    steps = ceil(interval / max_dt - 1e-9)
    weights = _weights(np.asarray(-viscosity * k**2, np.float64), interval / steps)

    def advected(waves: Waves) -> Waves:
        u = scipy.fft.irfft(waves, n=cells)
        return np.asarray(-0.5j * advection * k * kept * scipy.fft.rfft(u * u))

    waves, frames = scipy.fft.rfft(start) * kept, [start]
    for _ in times[1:]:
        for _ in range(steps):
            waves = _step(waves, advected, weights)
        frames.append(scipy.fft.irfft(waves, n=cells))
    return np.stack(frames)


def _weights(rates: Array, dt: float) -> tuple[Array, ...]:
    """exp(L dt), exp(L dt / 2) and the four weights of the scheme; means over a unit circle
    around L dt, where the formulas do not cancel."""
    z = (rates * dt)[:, None] + np.exp(1j * pi * (np.arange(32) + 0.5) / 32)
    e = np.exp(z)
    formulas = (
        (np.exp(z / 2) - 1) / z,
        (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
        (2 + z + e * (z - 2)) / z**3,
        (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
    )
    decay = np.exp(rates * dt)
    return (decay, np.sqrt(decay), *(dt * formula.mean(axis=1).real for formula in formulas))


def _step(waves: Waves, advected: Callable[[Waves], Waves], weights: tuple[Array, ...]) -> Waves:
    decay, half_decay, q, first, middle, last = weights
    now = advected(waves)
    a = half_decay * waves + q * now
    at_a = advected(a)
    at_b = advected(half_decay * waves + q * at_a)
    at_c = advected(half_decay * a + q * (2 * at_b - now))
    return np.asarray(decay * waves + first * now + 2 * middle * (at_a + at_b) + last * at_c)


def on_points(frames: Array, resolution: int) -> Array:
    """Frames (T, W) on fewer points, waves beyond those left out."""
    cells = frames.shape[1]
    if resolution == cells:
        return frames
    waves = scipy.fft.rfft(frames, axis=1)
    half = (resolution + 1) // 2  # without the unpaired wave
    cut = np.zeros((len(frames), resolution // 2 + 1), complex)
    cut[:, :half] = waves[:, :half] * (resolution / cells)
    return np.asarray(scipy.fft.irfft(cut, n=resolution, axis=1))
