"""Smoke that rises in a closed box: random smoke in, velocity and density frames out.

Axes: H rows (y, upwards), W columns (x); u on vertical faces (H, W + 1), v on
horizontal faces (H + 1, W), smoke at cell centres (H, W). No slip, no flux.
In: v_t + v.grad(v) = -grad(p) + nu lap(v) + (0, b s), div(v) = 0, s_t + v.grad(s) = 0.
Method: in each step smoke and velocity are carried along straight paths and
interpolated linearly (semi-Lagrangian); velocity is diffused, pushed and projected.
Source: PDEArena (arXiv:2209.15616), whose scheme and step this is: the step of 1.5
crosses many cells, so the scheme's own diffusion is part of what the corpus looks like.
Departures: diffusion is exact in the solver's sine waves and comes before the push,
which would drive currents along walls otherwise; pressure comes from cosine
transforms; walls without slip lie on the sides and not half a cell outside;
velocities are stored at cell centres, not on the lower faces.
"""

from dataclasses import dataclass, field
from math import pi, sqrt

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.projection import Projection
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, block_average, refinement
from data_shards.kernel import kernel

Spectrum = NDArray[np.complex128]

BAND = 4  # wave numbers of the initial smoke; the next one is below 1e-7 of the first


class SmokeOptions(Config):
    """Equation, initial smoke and accuracy."""

    viscosity: PositiveFloat = 0.01
    buoyancy: tuple[PositiveFloat, PositiveFloat]  # range of the upward force per density
    noise_scale: PositiveFloat = 11.0  # waves longer than about three times this are cut off
    noise_smoothness: PositiveFloat = 6.0  # amplitudes fall as wave number to minus twice this
    step: PositiveFloat = 1.5
    steps_per_frame: PositiveInt
    spin_up_steps: NonNegativeInt = 8  # before the step that gives the first frame
    solver_resolution: PositiveInt = 128


# In space alone: the step is that of the published solver, and with it a part of the corpus.
REFINED = Refinement(SmokeOptions, {"solver_resolution": 2})


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory of (vx, vy, density); buoyancy and smoke are the same at every resolution."""
    options = SmokeOptions.read(card.generator_options, f"card {card.name}")
    x_min, x_max, y_min, y_max = card.extent or (0.0, 32.0, 0.0, 32.0)
    lengths = (x_max - x_min, y_max - y_min)
    buoyancy = float(rng.uniform(*options.buoyancy))
    waves = draw_waves(rng, lengths, options.noise_scale, options.noise_smoothness)
    factor = refinement(resolution, options.solver_resolution)
    cells = resolution * factor
    smoke = smooth_noise(waves, (cells, cells))
    box = SmokeBox(np.abs(smoke), lengths, options.viscosity, buoyancy, options.step)
    box.advance(options.spin_up_steps + 1)
    frames = [box.at_centres()]
    for _ in range(card.frames - 1):
        box.advance(options.steps_per_frame)
        frames.append(box.at_centres())
    fields = block_average(np.stack(frames), factor)
    return Solution(fields, {"buoyancy": buoyancy, "viscosity": options.viscosity})


def draw_waves(
    rng: np.random.Generator, lengths: tuple[float, float], scale: float, smoothness: float
) -> Spectrum:
    """Complex amplitudes (2 BAND + 1, 2 BAND + 1) of a real field of mean 0 and variance 1.

    The power of a wave falls as |k|^(-4 smoothness), k in cycles per `scale`.
    """
    wave = np.arange(-BAND, BAND + 1)
    k2 = (wave[:, None] * scale / lengths[1]) ** 2 + (wave[None, :] * scale / lengths[0]) ** 2
    k2[BAND, BAND] = np.inf
    real, imaginary = rng.standard_normal((2, *k2.shape))
    noise = (real + 1j * imaginary) * np.where(k2 > 0.1, k2, np.inf) ** -smoothness
    hermitian = noise + noise[::-1, ::-1].conj()
    return np.asarray(hermitian / sqrt(float((np.abs(hermitian) ** 2).sum())))


def smooth_noise(waves: Spectrum, shape: tuple[int, int]) -> Array:
    """The field of `draw_waves` at the cell centres of any grid, (H, W)."""
    wave = np.arange(-BAND, BAND + 1)
    at_y, at_x = (
        np.exp(2j * pi * wave[None, :] * ((np.arange(n) + 0.5) / n)[:, None]) for n in shape
    )
    return np.asarray((at_y @ waves @ at_x.T).real)


@dataclass
class SmokeBox:
    """Smoke and velocity, at rest when made.

    Attributes:
        smoke: (H, W), density at the cell centres.
        lengths: of the box along x and y.
        viscosity: kinematic.
        buoyancy: upward acceleration per unit of smoke.
        step: time step.
        u, v: face velocities (H, W + 1) and (H + 1, W), zero on the sides.
    """

    smoke: Array
    lengths: tuple[float, float]
    viscosity: float
    buoyancy: float
    step: float
    u: Array = field(init=False)
    v: Array = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.smoke.shape
        self.dx, self.dy = self.lengths[0] / width, self.lengths[1] / height
        self.u, self.v = np.zeros((height, width + 1)), np.zeros((height + 1, width))
        self.project = Projection((height, width), self.dx, self.dy)
        decay = [
            np.exp(-self.viscosity * self.step * (pi * np.arange(1, n + 1) / length) ** 2)
            for n, length in zip((width, height), self.lengths, strict=True)
        ]
        self._decay_u = decay[1][:, None] * decay[0][None, :-1]
        self._decay_v = decay[1][:-1, None] * decay[0][None, :]

    def advance(self, steps: int) -> None:
        """Move on by a number of steps."""
        for _ in range(steps):
            self._carry()
            self.diffuse()
            self._push()  # last, so that the projection takes all that pressure balances
            self.project(self.u, self.v)

    def at_centres(self) -> Array:
        """(3, H, W): u, v and smoke at the cell centres."""
        u = 0.5 * (self.u[:, :-1] + self.u[:, 1:])
        v = 0.5 * (self.v[:-1] + self.v[1:])
        return np.stack([u, v, self.smoke])

    def divergence(self) -> Array:
        """Divergence in every cell, (H, W)."""
        return self.project.divergence(self.u, self.v)

    def diffuse(self) -> None:
        """Viscosity alone: every sine wave of both components decays at its exact rate."""
        self.u[:, 1:-1] = _decayed(self.u[:, 1:-1], self._decay_u, (2, 1))
        self.v[1:-1] = _decayed(self.v[1:-1], self._decay_v, (1, 2))

    def _carry(self) -> None:
        """Replace smoke and velocity by what arrives along the paths of this velocity."""
        padded_u, padded_v = _mirrored_rows(self.u), _mirrored_rows(self.v.T).T.copy()
        padded_smoke = np.pad(self.smoke, 1, mode="edge")
        height, width = self.smoke.shape
        crossed = self.step / self.dx, self.step / self.dy
        paths = padded_u, padded_v, *crossed, (height, width)
        # Offsets: of the wanted points from the lower left corner of their cell.
        smoke = _arriving(padded_smoke, 0.5, 0.5, *paths)
        u = _arriving(padded_u, 0.0, 0.5, *paths)
        v = _arriving(padded_v, 0.5, 0.0, *paths)
        self.smoke, self.u, self.v = smoke, u, v
        self.u[:, [0, -1]] = 0.0
        self.v[[0, -1]] = 0.0

    def _push(self) -> None:
        mean = 0.5 * (self.smoke[:-1] + self.smoke[1:])
        self.v[1:-1] += self.step * self.buoyancy * mean


def _decayed(inner: Array, decay: Array, kinds: tuple[int, int]) -> Array:
    """Sine transforms along y and x of kinds 2 (cells between walls) or 1 (faces), damped."""
    waves = scipy.fft.dst(scipy.fft.dst(inner, type=kinds[0], axis=0), type=kinds[1], axis=1)
    waves *= decay
    back = scipy.fft.idst(waves, type=kinds[1], axis=1)
    return np.asarray(scipy.fft.idst(back, type=kinds[0], axis=0))


def _mirrored_rows(u: Array) -> Array:
    """One ghost row on both sides, so that the mean with it vanishes on the wall."""
    return np.concatenate([-u[:1], u, -u[-1:]])


@kernel
def _arriving(
    field: Array,
    offset_x: float,
    offset_y: float,
    padded_u: Array,
    padded_v: Array,
    crossed_x: float,
    crossed_y: float,
    shape: tuple[int, int],
) -> Array:
    """Values of a padded field where the paths start that end on its own points.

    Positions are in cells from the lower left corner of the box. Along an axis on which
    the offset is 0.5 the field has a ghost on both sides, so its first value lies at -0.5.
    """
    height, width = shape
    ghost_x, ghost_y = offset_x, offset_y
    rows = field.shape[0] - (2 if ghost_y > 0 else 0)
    columns = field.shape[1] - (2 if ghost_x > 0 else 0)
    result = np.empty((rows, columns))
    for j in range(rows):
        for i in range(columns):
            x, y = i + offset_x, j + offset_y
            from_x = x - crossed_x * _between(padded_u, x, y + 0.5)
            from_y = y - crossed_y * _between(padded_v, x + 0.5, y)
            from_x = min(max(from_x, 0.0), float(width))
            from_y = min(max(from_y, 0.0), float(height))
            result[j, i] = _between(field, from_x + ghost_x, from_y + ghost_y)
    return result


@kernel
def _between(values: Array, x: float, y: float) -> float:
    """Linear interpolation at column x and row y, inside the array."""
    i = min(int(x), values.shape[1] - 2)
    j = min(int(y), values.shape[0] - 2)
    a, b = x - i, y - j
    lower = (1 - a) * values[j, i] + a * values[j, i + 1]
    upper = (1 - a) * values[j + 1, i] + a * values[j + 1, i + 1]
    return float((1 - b) * lower + b * upper)
