"""Incompressible flow on a staggered box: what the network says of it in, exact velocity out.

Axes: B samples, D slices (z), H rows (y), W columns (x). Vectors (B, 3, D, H, W) hold their x, y
and z components; what has one entry per axis stands in that order. A velocity stands on the lower
face of its cell along its own axis; a vector potential on edges, its x component where the lower
faces along y and along z of its cell meet; a divergence at the centre of its cell. Every axis
closes on itself; a pair of walls across an axis is its face of index 0, closed, as in the shards.

Discrete differences along two axes commute, so div(curl A) is zero to round-off whatever A is.
Where A is zero on every edge of a closed face, so is the velocity on that face, but then its mean
over the box is zero too: a mean flow is carried by the discrete harmonic fields of the geometry,
which have no divergence either and respect the same faces. A constant would blow through solids.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

AXES = range(3)
_TOLERANCE = 1e-13  # of the largest right-hand side: what conjugate gradients leave
_MOST_ITERATIONS = 1000
_BLOCKED = 1e-9  # least mean of what is left of a uniform flow along an axis that is open


def dim_of(axis: int) -> int:
    """The dimension of (..., D, H, W) along which an axis (0: x, 1: y, 2: z) runs."""
    return -1 - axis


def open_faces(fluid_BDHW: Tensor, walls_B3: Tensor) -> Tensor:
    """1 on faces that flow may cross, 0 on those of solids and on walls, (B, 3, D, H, W).

    Args:
        fluid_BDHW: 1 in fluid cells, 0 in solid ones.
        walls_B3: 1 where an axis has walls across it, 0 where it is periodic.
    """
    faces = [fluid_BDHW * fluid_BDHW.roll(1, dim_of(axis)) for axis in AXES]
    for axis in AXES:
        first = faces[axis].select(dim_of(axis), 0)
        first.mul_(1 - walls_B3[:, axis, None, None].to(first))
    return torch.stack(faces, dim=1)


def open_edges(open_B3DHW: Tensor) -> Tensor:
    """1 on edges of which all four faces are open, (B, 3, D, H, W)."""
    edges = []
    for axis in AXES:
        one, other = (axis + 1) % 3, (axis + 2) % 3
        along_one, along_other = open_B3DHW[:, one], open_B3DHW[:, other]
        beside = along_one.roll(1, dim_of(other)) * along_other.roll(1, dim_of(one))
        edges.append(along_one * along_other * beside)
    return torch.stack(edges, dim=1)


def curl(potential_B3DHW: Tensor, spacing_B3: Tensor) -> Tensor:
    """Of a potential on edges the velocity on faces, (B, 3, D, H, W)."""
    components = []
    for axis in AXES:
        one, other = (axis + 1) % 3, (axis + 2) % 3
        first = _difference(potential_B3DHW[:, other], one, spacing_B3)
        second = _difference(potential_B3DHW[:, one], other, spacing_B3)
        components.append(first - second)
    return torch.stack(components, dim=1)


def divergence(velocity_B3DHW: Tensor, spacing_B3: Tensor) -> Tensor:
    """Of a velocity on faces, in the cells: (B, D, H, W)."""
    slopes = [_difference(velocity_B3DHW[:, axis], axis, spacing_B3) for axis in AXES]
    return slopes[0] + slopes[1] + slopes[2]


def mean_flow(velocity_B3DHW: Tensor) -> Tensor:
    """Mean of each component over the whole box, solids included, (B, 3)."""
    return velocity_B3DHW.mean((2, 3, 4))


def harmonic_fields(open_B3DHW: Tensor, spacing_B3: Tensor) -> Tensor:
    """Flows without divergence and without a potential of their own, one per axis.

    The k-th has a mean of one along axis k and of zero along the others, no divergence, and is
    zero on closed faces: a uniform flow less the gradient of the pressure that turns it around
    the solids. Of an axis that walls or solids close it is zero everywhere.

    Args:
        open_B3DHW: 1 on open faces.
        spacing_B3: of the cells.

    Returns:
        (B, 3, 3, D, H, W) float64: axis of the mean, then component.

    Raises:
        ArithmeticError: conjugate gradients did not converge.
    """
    faces, spacing = open_B3DHW.double(), spacing_B3.double()
    uniform = torch.zeros(len(faces), 3, *faces.shape[1:], dtype=torch.float64, device=faces.device)
    for axis in AXES:
        uniform[:, axis, axis] = faces[:, axis]
    flat = uniform.flatten(0, 1)  # every axis of every sample is a problem of its own
    around, apart = faces.repeat_interleave(3, 0), spacing.repeat_interleave(3, 0)
    potential = _solve(divergence(flat, apart), around, apart)
    flows = (flat - around * _gradient(potential, apart)).view_as(uniform)
    means_B33 = flows.mean((3, 4, 5))
    blocked_B3 = means_B33.diagonal(dim1=1, dim2=2) < _BLOCKED
    flows = flows * ~blocked_B3[..., None, None, None, None]
    means_B33 = means_B33 * ~(blocked_B3[:, None] | blocked_B3[:, :, None])
    means_B33 = means_B33 + torch.diag_embed(blocked_B3.double())
    mixed: Tensor = torch.linalg.solve(means_B33, flows.flatten(2)).view_as(flows)
    return mixed * ~blocked_B3[..., None, None, None, None]


def _difference(values_BDHW: Tensor, axis: int, spacing_B3: Tensor) -> Tensor:
    step = values_BDHW.roll(-1, dim_of(axis)) - values_BDHW
    slope: Tensor = step / spacing_B3[:, axis, None, None, None].to(step)
    return slope


def _gradient(potential_BDHW: Tensor, spacing_B3: Tensor) -> Tensor:
    """From the cells to their lower faces, (B, 3, D, H, W)."""
    slopes = [
        (potential_BDHW - potential_BDHW.roll(1, dim_of(axis)))
        / spacing_B3[:, axis, None, None, None]
        for axis in AXES
    ]
    return torch.stack(slopes, dim=1)


def _solve(right_BDHW: Tensor, faces_B3DHW: Tensor, spacing_B3: Tensor) -> Tensor:
    """p of div(open grad p) = right, by conjugate gradients with the open box to precondition."""

    def minus_laplacian(p_BDHW: Tensor) -> Tensor:
        return -divergence(faces_B3DHW * _gradient(p_BDHW, spacing_B3), spacing_B3)

    symbol = _symbol(right_BDHW.shape[1:], spacing_B3)

    def preconditioned(r_BDHW: Tensor) -> Tensor:
        waves = torch.fft.rfftn(r_BDHW, dim=(1, 2, 3)) / symbol
        waves[:, 0, 0, 0] = 0
        smoothed: Tensor = torch.fft.irfftn(waves, s=r_BDHW.shape[1:], dim=(1, 2, 3))
        return smoothed

    left = -right_BDHW
    p = torch.zeros_like(left)
    z = direction = preconditioned(left)
    enough = _TOLERANCE * left.abs().amax((1, 2, 3)).clamp_min(1.0)
    product = _dot(left, z)
    for _ in range(_MOST_ITERATIONS):
        unfinished = left.abs().amax((1, 2, 3)) > enough
        if not bool(unfinished.any()):
            return p
        image = minus_laplacian(direction)
        # What is done stays as it is: its further steps would be ratios of round-off.
        length = unfinished[:, None, None, None] * _ratio(product, _dot(direction, image))
        p, left = p + length * direction, left - length * image
        z = preconditioned(left)
        before, product = product, _dot(left, z)
        direction = z + _ratio(product, before) * direction
    raise ArithmeticError(
        f"the potential of a geometry did not converge in {_MOST_ITERATIONS} iterations"
    )


def _symbol(grid: Sequence[int], spacing_B3: Tensor) -> Tensor:
    """What minus the discrete Laplacian of an open box multiplies each wave by; 1 of the mean."""
    depth, rows, columns = grid
    counts = (columns, rows, depth)
    total = torch.zeros(len(spacing_B3), depth, rows, columns // 2 + 1, dtype=torch.float64)
    total = total.to(spacing_B3.device)
    for axis, count in enumerate(counts):
        modes = count // 2 + 1 if axis == 0 else count
        angle = torch.arange(modes, device=total.device) * (2 * torch.pi / count)
        wave = (2 - 2 * angle.cos()).view([-1 if dim == 2 - axis else 1 for dim in AXES])
        total = total + wave / spacing_B3[:, axis, None, None, None] ** 2
    total[:, 0, 0, 0] = 1
    return total


def _dot(a_BDHW: Tensor, b_BDHW: Tensor) -> Tensor:
    return (a_BDHW * b_BDHW).sum((1, 2, 3), keepdim=True)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    return torch.where(below == 0, 0.0, above / below)
