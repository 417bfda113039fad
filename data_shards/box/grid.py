"""A box of cells in three dimensions: which faces are open, and differences on its staggered grid.

Axes: D slices (z), H rows (y, upwards), W columns (x); velocities (3, D, H, W) hold u, v, w on
the lower face of their cell along x, y, z; pressure (D, H, W) stands at the cell centres. What
has one entry per axis stands in the order x, y, z.
Every axis closes on itself. A pair of walls across an axis is the face between the last cell and
the first one, closed: index 0 is the lower wall, and the upper one seen from the last cell.
Solids are whole cells; all their faces are closed, so nothing flows through them. Tangential
velocity goes on with the opposite sign in a wall without slip and inside a solid, so that it
vanishes at the wall half a cell away; beyond a wall with slip it goes on evenly. A face that a
solid closes on one side only lies on the solid's surface: velocity is zero there, a cell away.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

WallKind = Literal["no_slip", "free_slip"]
Walls = tuple[WallKind, WallKind] | None  # at the lower and upper end of an axis; None: periodic
COMPONENTS = range(3)
SIGNS: dict[WallKind, float] = {"no_slip": -1.0, "free_slip": 1.0}


def dim_of(axis: int) -> int:
    """The dimension of a tensor (..., D, H, W) along which an axis (0: x, 1: y, 2: z) runs."""
    return -1 - axis


def upward(fields: Tensor, axis: int, spacing: float | Tensor) -> Tensor:
    """Slope from every cell to the next one along an axis, (..., D, H, W)."""
    return (fields.roll(-1, dim_of(axis)) - fields) / spacing


def divergence(velocity: Tensor, spacing: Sequence[float]) -> Tensor:
    """Net flux out of every cell per volume, (..., 3, D, H, W) -> (..., D, H, W)."""
    components = velocity.unbind(-4)
    x, y, z = (upward(components[axis], axis, spacing[axis]) for axis in COMPONENTS)
    return x + y + z


class Box:
    """Cells, walls and solids of one domain, with the differences that they allow.

    Args:
        grid: (D, H, W) cells.
        lengths: of the domain along x, y, z.
        walls: across x, y, z.
        solid: (D, H, W), True in solid cells.
    """

    def __init__(
        self,
        grid: Sequence[int],
        lengths: Sequence[float],
        walls: Sequence[Walls] = (None, None, None),
        solid: Tensor | None = None,
    ) -> None:
        self.grid = tuple(grid)
        self.lengths = tuple(lengths)
        self.walls = tuple(walls)
        cells = tuple(reversed(self.grid))
        self.spacing = tuple(side / count for side, count in zip(lengths, cells, strict=True))
        self.has_solid = solid is not None
        fluid = torch.ones(self.grid, dtype=torch.bool) if solid is None else ~solid
        before = torch.stack([fluid.roll(1, dim_of(axis)) for axis in COMPONENTS])
        self.mirrors = self._mirrors(~fluid & ~before)
        closed = ~(fluid & before)
        for axis in COMPONENTS:
            if self.walls[axis] is not None:
                closed[axis].select(dim_of(axis), 0).fill_(True)
        self.fluid = fluid.double()  # (D, H, W), 1 in the fluid
        self.open = (~closed).double()  # (3, D, H, W), 1 on faces that flow may cross
        self._open_sides = torch.zeros_like(self.fluid)  # minus the sum of 1 / spacing^2 over them
        for axis, spacing in enumerate(self.spacing):
            both = self.open[axis] + self.open[axis].roll(-1, dim_of(axis))
            self._open_sides -= both / spacing**2
        self._diagonal = -self.mirrors - sum(2 / spacing**2 for spacing in self.spacing)

    def _mirrors(self, inside: Tensor) -> Tensor:
        """Sum over tangential neighbours inside a solid of 1 / spacing^2, (3, D, H, W)."""
        mirrors = torch.zeros(inside.shape, dtype=torch.float64)
        if not self.has_solid:
            return mirrors
        for axis in COMPONENTS:
            dim = dim_of(axis)
            for step, edge in ((1, 0), (-1, -1)):
                beside = inside.roll(step, dim)
                if self.walls[axis] is not None:
                    beside.select(dim, edge).fill_(False)  # beyond the wall, which has its own rule
                beside[axis] = False  # the normal velocity is zero on the face itself
                mirrors += beside / self.spacing[axis] ** 2
        return mirrors

    def divergence(self, velocity: Tensor) -> Tensor:
        """(3, D, H, W) -> (D, H, W)."""
        return divergence(velocity, self.spacing)

    def gradient(self, pressure: Tensor) -> Tensor:
        """(D, H, W) -> (3, D, H, W), zero on closed faces."""
        slopes = [
            (pressure - pressure.roll(1, dim_of(axis))) / self.spacing[axis] for axis in COMPONENTS
        ]
        return torch.stack(slopes) * self.open

    def laplacian_of_pressure(self, pressure: Tensor) -> Tensor:
        """divergence(gradient(pressure)) of a pressure that is zero in solids, (D, H, W)."""
        around = pad(pressure[None, None], (1,) * 6, mode="circular")[0, 0]
        for axis, walls in enumerate(self.walls):
            if walls is not None:
                around.movedim(dim_of(axis), 0)[[0, -1]] = 0.0
        total = pressure * self._open_sides
        for axis, spacing in enumerate(self.spacing):
            for step in (-1, 1):
                total.add_(shifted(around, {axis: step}), alpha=spacing**-2)
        return total.mul_(self.fluid)

    def laplacian(self, velocity: Tensor) -> Tensor:
        """Of each component, with the rules of walls and solids; zero on closed faces."""
        total = velocity * self._diagonal
        around = self._with_neighbours(velocity)
        for axis, spacing in enumerate(self.spacing):
            for step in (-1, 1):
                total.add_(shifted(around, {axis: step}), alpha=spacing**-2)
        return total.mul_(self.open)

    def advection(self, velocity: Tensor) -> Tensor:
        """-div(v v) of each component by central fluxes, which neither make nor take energy."""
        around = self._with_neighbours(velocity)
        rates = torch.zeros_like(velocity)
        for component in COMPONENTS:
            own = around[component]
            for axis, spacing in enumerate(self.spacing):
                lower, upper = (
                    _carried(own, around[axis], component, axis, step) for step in (0, 1)
                )
                rates[component].add_(lower.sub_(upper), alpha=0.25 / spacing)
        return rates.mul_(self.open)

    def at_centres(self, velocity: Tensor) -> Tensor:
        """Means of opposite faces, (3, D, H, W)."""
        return torch.stack(
            [0.5 * (velocity[a] + velocity[a].roll(-1, dim_of(a))) for a in COMPONENTS]
        )

    def _with_neighbours(self, velocity: Tensor) -> Tensor:
        """Velocity with the layers around it, by the rules of walls, (3, D + 2, H + 2, W + 2)."""
        around = pad(velocity[None], (1,) * 6, mode="circular")[0]
        for axis, walls in enumerate(self.walls):
            if walls is None:
                continue
            for component in set(COMPONENTS) - {axis}:
                layers = around[component].movedim(dim_of(axis), 0)
                layers[0] = SIGNS[walls[0]] * layers[1]
                layers[-1] = SIGNS[walls[1]] * layers[-2]
        return around


def shifted(around: Tensor, steps: Mapping[int, int]) -> Tensor:
    """The values that lie -1, 0 or 1 cells further along some axes, of a field with neighbours."""
    view = around
    for axis in COMPONENTS:
        dim = dim_of(axis)
        view = view.narrow(dim, 1 + steps.get(axis, 0), around.shape[dim] - 2)
    return view


def _carried(own: Tensor, across: Tensor, component: int, axis: int, step: int) -> Tensor:
    """Four times the flux of a component along an axis through one side of its control volume.

    Args:
        own: the component, with neighbours.
        across: the component along the axis, with neighbours.
        component, axis: their numbers.
        step: 0 for the lower side, 1 for the upper one.
    """
    values = shifted(own, {axis: step - 1}) + shifted(own, {axis: step})
    if component == axis:  # at a cell's centre
        return values.mul_(values)
    # On an edge: where along the axis the step says, between two faces along the component.
    carrier = shifted(across, {axis: step, component: -1}) + shifted(across, {axis: step})
    return values.mul_(carrier)
