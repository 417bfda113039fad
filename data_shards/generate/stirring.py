"""Random stirring of a box: a few large waves of acceleration with random amplitudes in time.

Each wave pushes across its own direction, d cos(k.x) and d sin(k.x) with d.k = 0, and its two
amplitudes are Ornstein-Uhlenbeck processes (Eswaran and Pope 1988), drawn at fixed times and
linear in between, so that the stirring depends neither on the grid nor on the time step.
Axes: as in `box.grid`; waves are periodic along periodic axes, half waves fit between walls.
"""

from math import exp, floor, pi, sqrt

import numpy as np
import torch
from torch import Tensor

from data_shards.box.grid import COMPONENTS, Box, dim_of
from data_shards.generate.solution import Array

DRAWS_PER_MEMORY = 8  # of amplitudes within their correlation time


class Stirring:
    """Acceleration of a root mean square of 1, the same in every box of the same lengths.

    Args:
        rng: drawn from now, and whenever a later time is asked for.
        box: its lengths and walls say which waves fit.
        band: least and largest wave number, in waves per unit length.
        waves: how many.
        memory: correlation time.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        box: Box,
        band: tuple[float, float],
        waves: int,
        memory: float,
    ) -> None:
        self._rng = rng
        self._interval = memory / DRAWS_PER_MEMORY
        fitting = _waves_within(box, band)
        chosen = rng.choice(len(fitting), size=min(waves, len(fitting)), replace=False)
        self._numbers = fitting[chosen]
        self._directions = _across(rng, self._numbers)
        self._amplitudes = [self._noise()]  # (waves, 2) at every draw
        self._fields: dict[int, Tensor] = {}  # at the draws around the time asked for last
        self.box = box

    def on(self, box: Box) -> "Stirring":
        """Go on in a box of another grid."""
        self.box, self._fields = box, {}
        return self

    def __call__(self, time: float) -> Tensor:
        """Acceleration (3, D, H, W) at a time."""
        place = time / self._interval
        first = floor(place)
        before, after = (
            self._fields[n] if n in self._fields else self._field(n) for n in (first, first + 1)
        )
        self._fields = {first: before, first + 1: after}
        return torch.lerp(before, after, place - first)

    def _noise(self) -> Array:
        count = len(self._numbers)
        return self._rng.normal(size=(count, 2)) / sqrt(count)

    def _field(self, draw: int) -> Tensor:
        keep = exp(-1 / DRAWS_PER_MEMORY)
        while len(self._amplitudes) <= draw:
            fresh = sqrt(1 - keep**2) * self._noise()
            self._amplitudes.append(keep * self._amplitudes[-1] + fresh)
        field = torch.zeros_like(self.box.open)
        cases = zip(self._numbers, self._directions, self._amplitudes[draw], strict=True)
        for number, direction, (cosine, sine) in cases:
            for component in COMPONENTS:
                wave = _wave(self.box, number, component)
                field[component] += direction[component] * (cosine * wave.real + sine * wave.imag)
        return field


def _waves_within(box: Box, band: tuple[float, float]) -> Array:
    """Wave vectors (n, 3) along x, y, z in radians per length, one of each pair k, -k."""
    units = [
        (0.5 if wall else 1.0) / length for wall, length in zip(box.walls, box.lengths, strict=True)
    ]
    most = [floor(band[1] / unit) for unit in units]
    found = []
    for number in np.ndindex(*(2 * m + 1 for m in most)):
        signed = np.array(number) - most
        wave = signed * units
        if band[0] - 1e-9 <= np.linalg.norm(wave) <= band[1] + 1e-9 and tuple(signed) > (0, 0, 0):
            found.append(2 * pi * wave)
    return np.array(found)


def _across(rng: np.random.Generator, numbers: Array) -> Array:
    """A random unit vector across each wave vector."""
    drawn = np.cross(numbers, rng.normal(size=numbers.shape))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def _wave(box: Box, number: Array, component: int) -> Tensor:
    """exp(i k.x) on the faces of one component."""
    wave = torch.ones(1, 1, 1, dtype=torch.complex128)
    for axis in COMPONENTS:
        count = box.grid[dim_of(axis)]
        shift = 0.0 if axis == component else 0.5
        places = (torch.arange(count, dtype=torch.float64) + shift) * box.spacing[axis]
        shape = [1, 1, 1]
        shape[dim_of(axis)] = count
        phase = (float(number[axis]) * places).reshape(shape)
        wave = wave * torch.polar(torch.ones_like(phase), phase)
    return wave
