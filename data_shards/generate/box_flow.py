"""Incompressible flow in a box with walls and solids, dimensionless: a drive in, velocity out.

Axes: velocity (3, D, H, W) and pressure (D, H, W) as in `box.grid`.
In: v_t + div(v v) = -grad(p) + nu lap(v) + a(t), div(v) = 0, at rest at first.
Method: central advection by Adams-Bashforth 2, implicit diffusion (Crank-Nicolson by default), the
pressure of the step before in the momentum equation and its change from the projection
(van Kan 1986; Timmermans et al. 1996): second order in time, and a steady state does not depend
on the step.
All tensors are float64 on torch's default device: `with torch.device("cuda"):` runs on a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, sqrt

import torch
from torch import Tensor

from data_shards.box.grid import Box
from data_shards.box.projection import Projection
from data_shards.box.solve import SeparableLaplacian, conjugate_gradients
from data_shards.generate.solution import num_steps

STIFF = 30.0  # viscous change within a step, over the fields, from which waves precondition
VISCOUS_TOLERANCE = 1e-9  # of the largest speed, where solids make the viscous solve iterative


class Viscosity:
    """Solves for the velocity at the end of an implicit viscous step."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._laplacian = SeparableLaplacian(box, [0, 1, 2])
        self.iterations = 0  # of the last call

    def __call__(self, right: Tensor, amount: float, guess: Tensor) -> Tensor:
        """(1 - amount * laplacian)^-1 of (3, D, H, W); amount is viscosity times step."""

        def waves(fields: Tensor) -> Tensor:
            return self._laplacian.solve(fields, 1.0, amount) * self.box.open

        if not self.box.has_solid:
            return waves(right)

        def operator(fields: Tensor) -> Tensor:
            return fields - amount * self.box.laplacian(fields)

        # An iteration with waves costs five times as much; short steps take few without them.
        stiffness = amount * 4 * sum(spacing**-2 for spacing in self.box.spacing)
        precondition = waves if stiffness > STIFF else Tensor.clone
        tolerance = VISCOUS_TOLERANCE * max(float(right.abs().max()), 1e-300)
        velocity, self.iterations = conjugate_gradients(
            operator, precondition, right, guess, tolerance
        )
        return velocity


@dataclass
class BoxFlow:
    """A flow that can be advanced; starts at rest.

    Attributes:
        box: the domain.
        viscosity: kinematic.
        drive: acceleration at a time, (3, D, H, W) or what broadcasts to it.
        courant: longest step, in the time in which the fastest flow crosses a cell.
        longest_step: whatever the speed.
        implicitness: of diffusion; 0.5 is Crank-Nicolson, 1 damps most on the way to steady flow.
        inertia: whether there is advection; without it this is Stokes flow.
        velocity, pressure, time: the state.
    """

    box: Box
    viscosity: float
    drive: Callable[[float], Tensor]
    courant: float = 0.5
    longest_step: float = inf
    implicitness: float = 0.5
    inertia: bool = True
    velocity: Tensor = field(init=False)
    pressure: Tensor = field(init=False)
    time: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.velocity = torch.zeros_like(self.box.open)
        self.pressure = torch.zeros_like(self.box.fluid)
        self.project = Projection(self.box)
        self.diffuse = Viscosity(self.box)
        self._last: tuple[Tensor, float] | None = None  # advection and step before this one

    def advance(self, duration: float) -> None:
        """Move on by a time span, in stable steps."""
        end = self.time + duration
        while (left := end - self.time) > 1e-9 * duration:  # less is round-off of the time
            self._step(left / num_steps(left, min(self._stable_dt(), self.longest_step, left)))
        self.time = end

    def _stable_dt(self) -> float:
        """The step dt in which (speed + acceleration * dt) * dt is `courant` cells at most."""
        if not self.inertia:
            return inf
        speed = self._cells_per_time(self.velocity)
        push = self._cells_per_time(self.drive(self.time).expand_as(self.velocity))
        fastest = speed + sqrt(speed**2 + 4 * push * self.courant)
        return inf if fastest == 0 else 2 * self.courant / fastest

    def _cells_per_time(self, vectors: Tensor) -> float:
        """Largest sum over the axes of a vector's component over the spacing."""
        x, y, z = (v.abs() / h for v, h in zip(vectors, self.box.spacing, strict=True))
        return float((x + y + z).max())

    def _step(self, dt: float) -> None:
        box, explicit = self.box, 1 - self.implicitness
        rate = self.drive(self.time + 0.5 * dt) - box.gradient(self.pressure)
        if self.inertia:
            rate = rate + self._advection(dt)
        if explicit:
            rate = rate + explicit * self.viscosity * box.laplacian(self.velocity)
        right = (self.velocity + dt * rate) * box.open
        velocity = self.diffuse(right, self.implicitness * self.viscosity * dt, self.velocity)
        self.velocity, potential = self.project(velocity)
        # What diffusion did to the divergence was the pressure's part too (Timmermans et al. 1996).
        viscous = self.implicitness * self.viscosity * box.divergence(velocity)
        self.pressure = self.pressure + potential / dt - viscous
        self.time += dt

    def _advection(self, dt: float) -> Tensor:
        """At the middle of the step, from this rate and the last one."""
        rate = self.box.advection(self.velocity)
        last, self._last = self._last, (rate, dt)
        if last is None:
            return rate
        before, last_dt = last
        old = 0.5 * dt / last_dt
        return (1 + old) * rate - old * before
