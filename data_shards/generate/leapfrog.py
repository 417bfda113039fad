"""Acoustic waves in a uniform or varying medium: displacement and speed in, frames out.

Axes: H rows (y), W columns (x), cell centres; normal slopes live on faces.
Method: u_tt = c^2 lap(u) by leap-frog in time and central differences in space.
Sides reflect, or waves leave through a perfectly matched layer around the domain
(Grote and Sim, arXiv:1001.0319): there u_tt + (a + b) u_t + a b u =
c^2 (lap(u) + div(p)), p_t = (-a p_x + (b - a) u_x, -b p_y + (a - b) u_y), with
a(x) and b(y) zero inside. The medium enters as 1 / c^2, which multiplies u_tt:
its mean over a cell is what keeps second order across a jump of c.
"""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from data_shards.generate.solution import Array, num_steps
from data_shards.kernel import fast_kernel

REFLECTION = 1e-5  # amplitude that a perfectly resolved layer returns at normal incidence


@dataclass(frozen=True)
class Layer:
    """The absorbing frame: damping rates at cell centres and at faces."""

    centres: tuple[Array, Array]  # a (W), b (H), padded
    faces: tuple[Array, Array]  # a (W + 1), b (H + 1), padded


def solve(
    start: Array,
    slowness2: Array,
    *,
    lengths: tuple[float, float],
    num_frames: int,
    frame_interval: float,
    courant: float = 0.7,
    absorber: int = 0,
) -> Array:
    """Frames of a displacement that is released from rest, at t = 0, frame_interval, ...

    Args:
        start: (H + 2 absorber, W + 2 absorber), the frame included.
        slowness2: 1 / c^2 of the same cells.
        lengths: of the domain along x and y, without the frame.
        num_frames: T.
        frame_interval: time between frames.
        courant: bound of fastest c * dt * sqrt(1/dx^2 + 1/dy^2); unstable from 1 on.
        absorber: cells of the absorbing frame per side; 0 reflects at the sides (no slope).

    Returns:
        (T, H, W), without the frame.
    """
    height, width = (cells - 2 * absorber for cells in start.shape)
    dx, dy = lengths[0] / width, lengths[1] / height
    stable_dt = courant * sqrt(float(slowness2.min()) / (1 / dx**2 + 1 / dy**2))
    steps = num_steps(frame_interval, stable_dt)
    dt = frame_interval / steps
    typical = 1 / sqrt(float(slowness2.mean()))
    layer = _layer(start.shape, (dx, dy), absorber, typical)
    still = _layer(start.shape, (dx, dy), absorber, 0.0)
    weights = dt**2 / slowness2
    inside = slice(absorber, -absorber or None)
    frames = np.empty((num_frames, height, width))
    frames[0] = start[inside, inside]
    # Rest at t = 0 means u(-dt) = u(dt), the mean of u(0) and one full step from equal fields.
    u, slopes = start.copy(), _no_slopes(start.shape)
    old = start.copy()
    _step(u, old, *slopes, weights, still.centres, still.faces, dx, dy, dt)
    old = 0.5 * (u + old)
    for frame in range(1, num_frames):
        for _ in range(steps):
            _step(u, old, *slopes, weights, layer.centres, layer.faces, dx, dy, dt)
            u, old = old, u
        frames[frame] = u[inside, inside]
    return frames


def _no_slopes(shape: tuple[int, ...]) -> tuple[Array, Array]:
    return np.zeros((shape[0], shape[1] + 1)), np.zeros((shape[0] + 1, shape[1]))


def _layer(shape: tuple[int, ...], sizes: tuple[float, float], cells: int, speed: float) -> Layer:
    """Damping that rises with the square of the depth, to 3 c log(1 / REFLECTION) / (2 width)."""
    counts = (shape[1], shape[0])
    centres = [_damping(np.arange(n) + 0.5, n, cells) for n in counts]
    faces = [_damping(np.arange(n + 1), n, cells) for n in counts]
    tops = [1.5 * speed * log(1 / REFLECTION) / (max(cells, 1) * size) for size in sizes]
    return Layer(
        (centres[0] * tops[0], centres[1] * tops[1]),
        (faces[0] * tops[0], faces[1] * tops[1]),
    )


def _damping(places: NDArray[np.number], count: int, cells: int) -> Array:
    """0 inside, 1 at the outer ends; places in cells from the left outer end."""
    depth = np.maximum(cells - places, places - (count - cells))
    return np.asarray((np.maximum(depth, 0) / max(cells, 1)) ** 2)


@fast_kernel
def _step(
    u: Array,
    old: Array,
    px: Array,
    py: Array,
    weights: Array,
    centres: tuple[Array, Array],
    faces: tuple[Array, Array],
    dx: float,
    dy: float,
    dt: float,
) -> None:
    """Turn u(t - dt) in `old` into u(t + dt), and px, py(t - dt / 2) into those at t + dt / 2.

    weights = c^2 dt^2. The outermost faces keep no slope.
    """
    height, width = u.shape
    a, b = centres
    a_face, b_face = faces
    below = np.zeros(width)  # slope through the bottom faces of the row
    for j in range(height):
        left = 0.0
        for i in range(width):
            right = above = 0.0
            if i + 1 < width:
                right = (u[j, i + 1] - u[j, i]) / dx
                damp = a_face[i + 1]
                if damp > 0 or b[j] > 0:
                    kept, half = px[j, i + 1], 0.5 * dt * damp
                    new = ((1 - half) * kept + dt * (b[j] - damp) * right) / (1 + half)
                    px[j, i + 1] = new
                    right += 0.5 * (kept + new)
            if j + 1 < height:
                above = (u[j + 1, i] - u[j, i]) / dy
                damp = b_face[j + 1]
                if damp > 0 or a[i] > 0:
                    kept, half = py[j + 1, i], 0.5 * dt * damp
                    new = ((1 - half) * kept + dt * (a[i] - damp) * above) / (1 + half)
                    py[j + 1, i] = new
                    above += 0.5 * (kept + new)
            force = weights[j, i] * ((right - left) / dx + (above - below[i]) / dy)
            force -= dt * dt * a[i] * b[j] * u[j, i]
            drag = 0.5 * dt * (a[i] + b[j])
            old[j, i] = (2 * u[j, i] - (1 - drag) * old[j, i] + force) / (1 + drag)
            left = right
            below[i] = above
