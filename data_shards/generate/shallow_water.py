"""Shallow water over a flat bottom, radial dam break: radius in, depths out.

Axes: H rows (y), W columns (x), cell averages; conserved variables are ordered
(x-discharge, y-discharge, depth).
Source: PDEBench (arXiv:2210.07182) for the problem; MUSCL with the monotonised
central limiter, HLLC (Toro, Shock-Capturing Methods for Free-Surface Shallow
Flows), Heun in time. Departure: PDEBench runs clawpack, this is an own solver.
"""

from typing import Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from data_shards.card import CorpusCard
from data_shards.config import Config
from data_shards.generate.refined import Refinement
from data_shards.generate.solution import Array, Solution, block_average, num_steps, refinement
from data_shards.kernel import fast_kernel, kernel

Wall = Literal["extrapolation", "solid"]
OPEN: tuple[Wall, Wall, Wall, Wall] = ("extrapolation",) * 4


class ShallowWaterOptions(Config):
    """Dam, gravity and accuracy."""

    gravity: PositiveFloat = 1.0
    depth_inside: PositiveFloat = 2.0
    depth_outside: PositiveFloat = 1.0
    dam_radius: tuple[PositiveFloat, PositiveFloat]
    dam_samples: PositiveInt = 1  # per cell and direction; 1 gives a staircase, as published
    solver_resolution: PositiveInt = 128
    courant: PositiveFloat = 0.45


REFINED = Refinement(ShallowWaterOptions, {"solver_resolution": 2})  # the step follows the grid


def generate(
    card: CorpusCard, rng: np.random.Generator, *, index: int, resolution: int
) -> Solution:
    """One trajectory of the depth at t = 0, 0.01, ..."""
    options = ShallowWaterOptions.read(card.generator_options, f"card {card.name}")
    extent = card.extent or (-2.5, 2.5, -2.5, 2.5)
    radius = float(rng.uniform(*options.dam_radius))
    factor = refinement(resolution, options.solver_resolution)
    cells = resolution * factor * options.dam_samples
    start = dam(cells, extent, radius, options.depth_inside, options.depth_outside)
    frames = solve(
        block_average(start, options.dam_samples),
        lengths=(extent[1] - extent[0], extent[3] - extent[2]),
        num_frames=card.frames,
        frame_interval=card.dt_s or 0.01,
        gravity=options.gravity,
        courant=options.courant,
    )
    depth = block_average(frames[:, 2:], factor)
    fixed = options.model_dump(include={"gravity", "depth_inside", "depth_outside"})
    return Solution(depth, {"dam_radius": radius, **fixed})


def dam(
    cells: int,
    extent: tuple[float, ...],
    radius: float,
    inside: float,
    outside: float,
) -> Array:
    """Water at rest (3, N, N): one depth where the cell's centre is within the radius of the
    origin, another elsewhere."""
    x_min, x_max, y_min, y_max = extent
    centre = (np.arange(cells) + 0.5) / cells
    x, y = x_min + (x_max - x_min) * centre, y_min + (y_max - y_min) * centre
    depth = np.where(np.hypot(x[None, :], y[:, None]) <= radius, inside, outside)
    return np.stack([np.zeros_like(depth), np.zeros_like(depth), depth])


def solve(
    start: Array,
    *,
    lengths: tuple[float, float],
    num_frames: int,
    frame_interval: float,
    gravity: float = 1.0,
    courant: float = 0.45,
    walls: tuple[Wall, Wall, Wall, Wall] = OPEN,
) -> Array:
    """Frames of the conserved variables at t = 0, frame_interval, ...

    Args:
        start: (3, H, W).
        lengths: of the domain along x and y.
        num_frames: T, the start included.
        frame_interval: time between frames.
        gravity: g.
        courant: bound of (speed + wave speed) * dt / dx, in either direction.
        walls: left, right, bottom, top.

    Returns:
        (T, 3, H, W).
    """
    dx, dy = lengths[0] / start.shape[2], lengths[1] / start.shape[1]
    # What a solid wall does to the normal velocity of the ghost cells; nothing if it is open.
    signs = np.array([-1.0 if wall == "solid" else 1.0 for wall in walls])
    frames = np.empty((num_frames, *start.shape))
    frames[0] = start
    state = start
    for frame in range(1, num_frames):
        steps = num_steps(frame_interval, _stable_dt(state, dx, dy, gravity, courant))
        dt = frame_interval / steps
        for _ in range(steps):
            once = state + dt * _rate(state, dx, dy, gravity, signs)
            state = 0.5 * (state + once + dt * _rate(once, dx, dy, gravity, signs))
        frames[frame] = state
    return frames


@kernel
def _stable_dt(state: Array, dx: float, dy: float, gravity: float, courant: float) -> float:
    fastest = 0.0
    for j in range(state.shape[1]):
        for i in range(state.shape[2]):
            depth = state[2, j, i]
            wave = np.sqrt(gravity * depth)
            along_x = (abs(state[0, j, i]) / depth + wave) / dx
            along_y = (abs(state[1, j, i]) / depth + wave) / dy
            fastest = max(fastest, along_x, along_y)
    return float(courant / fastest)


@fast_kernel
def _slope(below: float, above: float) -> float:
    """Monotonised central limiter of two one-sided differences."""
    size = min(min(2 * abs(below), 2 * abs(above)), 0.5 * abs(below + above))
    return float(size * 0.5 * (np.copysign(1.0, below) + np.copysign(1.0, above)))  # no branch


@fast_kernel
def _hllc(
    un: float, ut: float, h: float, wn: float, wt: float, k: float, gravity: float
) -> tuple[float, float, float]:
    """Flux of (normal discharge, tangential discharge, depth) between two states.

    Left (un, ut, h) and right (wn, wt, k): normal and tangential velocity, depth.
    """
    wave_l, wave_r = np.sqrt(gravity * h), np.sqrt(gravity * k)
    middle_u = 0.5 * (un + wn) + wave_l - wave_r  # two-rarefaction estimate
    middle_wave = max(0.5 * (wave_l + wave_r) + 0.25 * (un - wn), 0.0)
    slowest = min(min(un - wave_l, middle_u - middle_wave), 0.0)
    fastest = max(max(wn + wave_r, middle_u + middle_wave), 0.0)
    spread = 1 / (fastest - slowest)
    product = fastest * slowest
    mass_l, mass_r = h * un, k * wn
    mass = (fastest * mass_l - slowest * mass_r + product * (k - h)) * spread
    momentum_l = mass_l * un + 0.5 * gravity * h * h
    momentum_r = mass_r * wn + 0.5 * gravity * k * k
    momentum = (fastest * momentum_l - slowest * momentum_r + product * (mass_r - mass_l)) * spread
    return momentum, mass * (ut if mass >= 0 else wt), mass


@kernel
def _rate(state: Array, dx: float, dy: float, gravity: float, signs: Array) -> Array:
    """Minus the divergence of all fluxes, (3, H, W)."""
    _, height, width = state.shape
    # Two ghost cells per side that mirror the first inner ones (solid) or repeat the first.
    w = np.empty((3, height + 4, width + 4))
    for row in range(height + 4):
        sign_y = signs[2] if row < 2 else (signs[3] if row >= height + 2 else 1.0)
        j = _inner(row - 2, height, sign_y)
        for column in range(width + 4):
            sign_x = signs[0] if column < 2 else (signs[1] if column >= width + 2 else 1.0)
            i = _inner(column - 2, width, sign_x)
            depth = state[2, j, i]
            w[0, row, column] = sign_x * state[0, j, i] / depth
            w[1, row, column] = sign_y * state[1, j, i] / depth
            w[2, row, column] = depth
    rate = np.zeros(state.shape)
    _add_fluxes(w, rate, dx, gravity, 0)
    _add_fluxes(w, rate, dy, gravity, 1)
    return rate


@kernel
def _inner(position: int, count: int, sign: float) -> int:
    """The inner cell that a ghost cell at `position` copies."""
    if position < 0:
        return -1 - position if sign < 0 else 0
    if position >= count:
        return 2 * count - 1 - position if sign < 0 else count - 1
    return position


@fast_kernel
def _add_fluxes(w: Array, rate: Array, dn: float, gravity: float, n: int) -> None:
    """Fluxes through the faces between a cell and its next one along axis n (0: x, 1: y)."""
    _, height, width = rate.shape
    t = 1 - n
    a, b = n, t  # steps along rows and columns to the next cell
    for j in range(2 - a, height + 2):
        for i in range(2 - b, width + 2):
            un, wn = _edges(w, j, i, a, b, n)
            ut, wt = _edges(w, j, i, a, b, t)
            h, k = _edges(w, j, i, a, b, 2)
            fn, ft, fh = _hllc(un, ut, h, wn, wt, k, gravity)
            fn, ft, fh = fn / dn, ft / dn, fh / dn
            if i >= 2 and j >= 2:
                rate[n, j - 2, i - 2] -= fn
                rate[t, j - 2, i - 2] -= ft
                rate[2, j - 2, i - 2] -= fh
            if j + a < height + 2 and i + b < width + 2:
                rate[n, j + a - 2, i + b - 2] += fn
                rate[t, j + a - 2, i + b - 2] += ft
                rate[2, j + a - 2, i + b - 2] += fh


@fast_kernel
def _edges(w: Array, j: int, i: int, a: int, b: int, c: int) -> tuple[float, float]:
    """Variable c on both sides of the face between cell (j, i) and its next one."""
    here, there = w[c, j, i], w[c, j + a, i + b]
    step = there - here
    left = here + 0.5 * _slope(here - w[c, j - a, i - b], step)
    right = there - 0.5 * _slope(step, w[c, j + 2 * a, i + 2 * b] - there)
    return left, right
