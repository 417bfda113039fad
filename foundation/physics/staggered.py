"""Flows on staggered grids: curls of potentials, and what a geometry lets through.

Axes: fields (..., *S) with S = (D, H, W), slices along z, rows along y, columns along x; vectors
(..., 3, *S), components in the order x, y, z, as spacings and walls stand. Velocities stand on the
lower face of their cell along their own axis, vector potentials on its lower edge along their own
axis. Every axis closes on itself; a pair of walls across one is its face 0 (`data_shards.box`).
All is linear and differentiable, in the precision of the fields. The divergence of a curl vanishes
to round-off: in float64 some 1e-13 of speed over spacing, in float32 some 1e-5.

A flow without divergence that crosses no closed face is the curl of a potential that is zero on
closed edges, and flows that a potential cannot carry. For walls, and for solids that are balls
or other bodies without holes, these are the three harmonic fields below. Solids with holes, as
a thresholded random field has many, need one more for every hole: a potential that is zero around
a hole carries no flux through it, and the three alone spread the mean flow over all holes as
potential flow does. `projected` reaches all flows of every geometry, for one Poisson solve.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from data_shards.box.grid import COMPONENTS, Box, Walls, dim_of, divergence, upward
from data_shards.box.projection import Projection

__all__ = [
    "along_walls",
    "curl",
    "divergence",
    "harmonic_fields",
    "open_edges",
    "open_faces",
    "projected",
    "projection",
]

NO_WALLS = (False, False, False)
_ROUND_OFF = 1e-14  # a tenth of a solver's: at 128^3, for rms speed 1 in a unit box, below 1e-11
BLOCKED = 1e-9  # mean speed under which nothing gets through


def open_faces(fluid: Tensor, walls: Tensor) -> Tensor:
    """1 on faces that flow may cross, 0 on those of solids and on walls, (B, 3, *S).

    Args:
        fluid: (B, *S), 1 in the fluid, 0 in solid cells.
        walls: (B, 3), 1 where there are walls across x, y, z.
    """
    faces = [fluid * fluid.roll(1, dim_of(axis)) for axis in COMPONENTS]
    for axis, face in enumerate(faces):
        first = face.select(dim_of(axis), 0)
        first.mul_(1 - walls[:, axis, None, None].to(first))
    return torch.stack(faces, 1)


def along_walls(fluid: Tensor, walls: Tensor, sticky: Tensor) -> Tensor:
    """1 on open faces half a cell from a wall without slip or a solid that they run along, else 0.

    There stands the tangential velocity that is next to a wall. A face beside one that lies on a
    solid's surface, as at its edges, is a cell away and is none.

    Args:
        fluid: (B, *S), 1 in the fluid, 0 in solid cells.
        walls: (B, 3), 1 where there are walls across x, y, z.
        sticky: (B, 3, 2), 1 where the lower and the upper of them is without slip.

    Returns:
        (B, 3, *S).
    """
    faces = open_faces(fluid, walls)
    beside = torch.zeros_like(faces)
    for axis in COMPONENTS:
        dim = dim_of(axis)
        solid = 1 - fluid
        inside = solid * solid.roll(1, dim)
        for across in {*COMPONENTS} - {axis}:
            for side, (step, edge) in enumerate(((1, 0), (-1, -1))):
                near = inside.roll(step, dim_of(across))
                last = near.select(dim_of(across), edge)
                wall, stuck = walls[:, across, None, None], sticky[:, across, side, None, None]
                last.copy_(torch.where(wall > 0, stuck.to(last), last))
                beside[:, axis] = torch.maximum(beside[:, axis], near)
    return beside * faces


def open_edges(faces: Tensor) -> Tensor:
    """1 on edges of which all four faces are open, 0 on the others, (..., 3, *S).

    The curl of a potential that is zero on these others crosses no closed face.

    Args:
        faces: of `open_faces`, (..., 3, *S).
    """
    parts, edges = faces.unbind(-4), []
    for axis in COMPONENTS:
        after, last = (axis + 1) % 3, (axis + 2) % 3
        beside = parts[after].roll(1, dim_of(last)) * parts[last].roll(1, dim_of(after))
        edges.append(parts[after] * parts[last] * beside)
    return torch.stack(edges, -4)


def curl(potential: Tensor, spacing: Sequence[float | Tensor]) -> Tensor:
    """Circulation of a potential around every face per area, (..., 3, *S) -> (..., 3, *S).

    Args:
        potential: on edges.
        spacing: of the cells along x, y, z, or of each sample's, broadcast against (..., *S).
    """
    parts = potential.unbind(-4)
    faces = []
    for axis in COMPONENTS:
        after, last = (axis + 1) % 3, (axis + 2) % 3
        faces.append(
            upward(parts[last], after, spacing[after]) - upward(parts[after], last, spacing[last])
        )
    return torch.stack(faces, -4)


def harmonic_fields(
    fluid: Tensor, spacing: Sequence[float], walls: Sequence[bool] = NO_WALLS
) -> Tensor:
    """The potential flows that carry a unit mean along each axis through a geometry.

    Each is without divergence, zero on closed faces and a gradient but for its mean, so that it
    is orthogonal to the curl of every potential that is zero on closed edges. The mean is over
    the whole box, solids included; along the other axes it is zero. One Poisson solve each.

    Args:
        fluid: (*S), 1 in the fluid, 0 in solid cells.
        spacing: of the cells along x, y, z.
        walls: whether there are walls across x, y, z.

    Returns:
        float64 (3, 3, *S): field, component, grid. Where nothing gets through, as from wall to
        wall, the field is zero.

    Raises:
        ArithmeticError: no convergence.
    """
    project = projection(fluid, spacing, walls)
    fields = torch.zeros(3, *project.box.open.shape, dtype=torch.float64, device=fluid.device)
    for axis in COMPONENTS:
        through = torch.zeros_like(project.box.open)
        through[axis] = project.box.open[axis]
        flow, _ = project(through)
        if float(flow[axis].mean()) > BLOCKED:
            fields[axis] = flow
    means = fields.mean((2, 3, 4))
    blocked = torch.diag((means.diagonal() == 0).double())
    apart: Tensor = torch.linalg.solve(means + blocked, fields.flatten(1)).view_as(fields)
    return apart


def projection(
    fluid: Tensor, spacing: Sequence[float], walls: Sequence[bool] = NO_WALLS
) -> Projection:
    """What takes a velocity to the nearest flow through a geometry, in float64; see
    `harmonic_fields` for the arguments."""
    solid = fluid < 0.5
    lengths = [h * n for h, n in zip(spacing, reversed(fluid.shape), strict=True)]
    # Only tangential velocity knows whether a wall has slip, and projection does not ask.
    kinds: list[Walls] = [("free_slip", "free_slip") if there else None for there in walls]
    with fluid.device:
        box = Box(fluid.shape, lengths, kinds, solid if bool(solid.any()) else None)
        return Projection(box, _ROUND_OFF)


def projected(velocity: Tensor, projections: Sequence[Projection]) -> Tensor:
    """The nearest flows without divergence that cross no closed face, differentiable.

    A curl of any potential on all edges and a constant mean reach every flow of every geometry so.

    Args:
        velocity: (B, 3, *S), float64.
        projections: of the geometry of each sample (B).

    Returns:
        (B, 3, *S); its divergence is round-off of the largest speed over the spacing.
    """
    flow: Tensor = _Projected.apply(velocity, projections)  # type: ignore[no-untyped-call]
    return flow


class _Projected(torch.autograd.Function):
    """An orthogonal projection is its own transpose, so gradients are projected likewise."""

    @staticmethod
    def forward(ctx: Any, velocity: Tensor, projections: Sequence[Projection]) -> Tensor:
        ctx.projections = projections
        return _each_projected(velocity, projections)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _each_projected(grads[0], ctx.projections), None


def _each_projected(velocity: Tensor, projections: Sequence[Projection]) -> Tensor:
    pairs = zip(velocity, projections, strict=True)
    return torch.stack([project(one * project.box.open)[0] for one, project in pairs])
