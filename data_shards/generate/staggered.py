"""Incompressible flow on a staggered (MAC) grid, dimensionless: sides in, frames out.

Axes: H rows (y, upwards), W columns (x); u on vertical faces (H, W + 1), v on
horizontal faces (H + 1, W). Bottom and top are walls without slip (the top may
move); left is a wall or an inflow, right a wall or an outflow.
Method: QUICK advection and central diffusion, Adams-Bashforth 2 in time. All
terms are explicit and the projection is exact, so there is no splitting error.
"""

from dataclasses import dataclass, field
from math import exp

import numpy as np
from numpy.typing import NDArray

from data_shards.generate.projection import Projection
from data_shards.generate.solution import Array, num_steps
from data_shards.kernel import fast_kernel


@dataclass
class StaggeredFlow:
    """A flow that can be advanced; starts at rest, or with the inflow's first speed everywhere.

    Attributes:
        shape: (H, W) cells.
        lengths: of the domain along x and y.
        viscosity: kinematic (1 / Reynolds number).
        lid: velocity of the top wall.
        inflow: final velocity through the left side, 0 for a wall; the right side is an
            outflow exactly where this is not 0.
        rise_time: the inflow is inflow * (1 - exp(-t / rise_time)); 0 starts it at once.
        solid: (H, W), True in solid cells.
        time: since the start.
    """

    shape: tuple[int, int]
    lengths: tuple[float, float]
    viscosity: float
    lid: float = 0.0
    inflow: float = 0.0
    rise_time: float = 0.0
    solid: NDArray[np.bool_] | None = None
    u: Array = field(init=False)
    v: Array = field(init=False)
    time: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        height, width = self.shape
        self.dx, self.dy = self.lengths[0] / width, self.lengths[1] / height
        self.project = Projection(
            self.shape, self.dx, self.dy, outflow=self.inflow != 0, solid=self.solid
        )
        self.u = np.full((height, width + 1), self.inflow_now())
        self.v = np.zeros((height + 1, width))
        self.project(self.u, self.v)
        self._last: tuple[Array, Array, float] | None = None  # rates and step before this one

    def advance(self, duration: float) -> None:
        """Move on by a time span, in equal stable steps."""
        steps = num_steps(duration, self._stable_dt())
        for _ in range(steps):
            self._step(duration / steps)

    def inflow_now(self) -> float:
        """Velocity through the left side at this time."""
        if self.rise_time == 0:
            return self.inflow
        return self.inflow * (1 - exp(-self.time / self.rise_time))

    def at_centres(self) -> Array:
        """(2, H, W): u and v at the cell centres."""
        u = 0.5 * (self.u[:, :-1] + self.u[:, 1:])
        v = 0.5 * (self.v[:-1] + self.v[1:])
        return np.stack([u, v])

    def divergence(self) -> Array:
        """Divergence in every cell, (H, W)."""
        return self.project.divergence(self.u, self.v)

    def _stable_dt(self) -> float:
        # Adams-Bashforth 2 is stable for decay rates up to 1 / dt; QUICK damps the shortest
        # wave at the rate speed / dx, and speeds may grow until the next call: a factor 1.6.
        fastest_u = max(float(np.abs(self.u).max()), abs(self.lid), abs(self.inflow))
        advection = fastest_u / self.dx + float(np.abs(self.v).max()) / self.dy
        diffusion = 4 * self.viscosity * (1 / self.dx**2 + 1 / self.dy**2)
        return 0.9 / (1.6 * advection + diffusion)

    def _step(self, dt: float) -> None:
        p, q = _padded(self.u, self.v, self.lid, self.inflow != 0)
        rate_u, rate_v = _rates(p, q, self.dx, self.dy, self.viscosity, self.inflow_now())
        if self._last is None:
            self.u += dt * rate_u
            self.v += dt * rate_v
        else:
            last_u, last_v, last_dt = self._last
            old = 0.5 * dt / last_dt
            self.u += dt * ((1 + old) * rate_u - old * last_u)
            self.v += dt * ((1 + old) * rate_v - old * last_v)
        self._last = rate_u, rate_v, dt
        self.time += dt
        self.u[:, 0] = self.inflow_now()
        self.project(self.u, self.v)


def _padded(u: Array, v: Array, lid: float, is_open: bool) -> tuple[Array, Array]:
    """Both components with two ghost layers that carry the boundary conditions."""
    height, width = v.shape[0] - 1, v.shape[1]
    p, q = np.empty((height + 4, width + 5)), np.empty((height + 5, width + 4))
    p[2:-2, 2:-2], q[2:-2, 2:-2] = u, v
    # Normal velocity goes on linearly, or evenly at an outflow; tangential velocity mirrors
    # so that its mean with the ghost is the wall's, or goes on evenly at an outflow.
    p[2:-2, 1::-1] = 2 * u[:, :1] - u[:, 1:3]
    p[2:-2, -2:] = u[:, -1:] if is_open else 2 * u[:, -1:] - u[:, -2:-4:-1]
    q[2:-2, 1::-1] = -v[:, :2]
    q[2:-2, -2:] = v[:, :-3:-1] if is_open else -v[:, :-3:-1]
    p[1::-1] = -p[2:4]
    p[-2:] = 2 * lid - p[-3:-5:-1]
    q[1::-1] = 2 * q[2] - q[3:5]
    q[-2:] = 2 * q[-3] - q[-4:-6:-1]
    return p, q


@fast_kernel
def _flux(speed: float, far_l: float, left: float, right: float, far_r: float) -> float:
    """Speed times the value between left and right, quadratic from upstream (QUICK)."""
    centred = 0.5 * (left + right)
    if speed > 0:
        return speed * (centred - 0.125 * (far_l - 2 * left + right))
    return speed * (centred - 0.125 * (left - 2 * right + far_r))


@fast_kernel
def _rates(
    p: Array, q: Array, dx: float, dy: float, viscosity: float, outflow: float
) -> tuple[Array, Array]:
    """Advection and diffusion of padded u and v; zero where a side prescribes the velocity."""
    height, width = p.shape[0] - 4, q.shape[1] - 4
    rate_u, rate_v = np.zeros((height, width + 1)), np.zeros((height + 1, width))
    a, b = viscosity / dx**2, viscosity / dy**2
    for j in range(height):
        r = j + 2
        for i in range(1, width):
            c = i + 2
            here, right, left = p[r, c], p[r, c + 1], p[r, c - 1]
            up, down = p[r + 1, c], p[r - 1, c]
            east = _flux(0.5 * (here + right), left, here, right, p[r, c + 2])
            west = _flux(0.5 * (left + here), p[r, c - 2], left, here, right)
            rise = 0.5 * (q[r + 1, c - 1] + q[r + 1, c])
            sink = 0.5 * (q[r, c - 1] + q[r, c])
            north = _flux(rise, down, here, up, p[r + 2, c])
            south = _flux(sink, p[r - 2, c], down, here, up)
            spread = a * (right - 2 * here + left) + b * (up - 2 * here + down)
            rate_u[j, i] = spread - (east - west) / dx - (north - south) / dy
        # Outflow: what arrives leaves at the mean speed (zero at a wall).
        rate_u[j, width] = -outflow * (p[r, width + 2] - p[r, width + 1]) / dx
    for j in range(1, height):
        r = j + 2
        for i in range(width):
            c = i + 2
            here, right, left = q[r, c], q[r, c + 1], q[r, c - 1]
            up, down = q[r + 1, c], q[r - 1, c]
            ahead = 0.5 * (p[r - 1, c + 1] + p[r, c + 1])
            back = 0.5 * (p[r - 1, c] + p[r, c])
            east = _flux(ahead, left, here, right, q[r, c + 2])
            west = _flux(back, q[r, c - 2], left, here, right)
            north = _flux(0.5 * (here + up), down, here, up, q[r + 2, c])
            south = _flux(0.5 * (down + here), q[r - 2, c], down, here, up)
            spread = a * (right - 2 * here + left) + b * (up - 2 * here + down)
            rate_v[j, i] = spread - (east - west) / dx - (north - south) / dy
    return rate_u, rate_v
