"""Exact discrete projection of a staggered velocity onto flow without divergence.

In: face velocities u (H, W + 1) and v (H + 1, W). Out: the nearest ones that
have no divergence in any cell and are zero on every face of a solid cell.
Method: the Poisson equation of the pressure by cosine transforms; the solid
is enforced by forces on its faces, from the Schur complement of the constraint
(Taira and Colonius, J. Comput. Phys. 225, 2007), so both laws hold to round-off.
"""

from math import pi

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from data_shards.generate.solution import Array


class Projection:
    """Projection for one grid; sides keep their normal velocity, an outflow side is free.

    Args:
        shape: (H, W) cells.
        dx, dy: cell sizes.
        outflow: pressure is zero on the right side instead of having no gradient there.
        solid: (H, W), True in solid cells, none of them at a side.

    Raises:
        ValueError: a solid cell is at a side.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dx: float,
        dy: float,
        *,
        outflow: bool = False,
        solid: NDArray[np.bool_] | None = None,
    ) -> None:
        height, width = shape
        self.dx, self.dy, self.outflow = dx, dy, outflow
        self.kind_x = 4 if outflow else 2  # cosines that vanish on, or are even at, the right side
        shift = 0.5 if outflow else 0.0
        along_x = (2 * np.cos(pi * (np.arange(width) + shift) / width) - 2) / dx**2
        along_y = (2 * np.cos(pi * np.arange(height) / height) - 2) / dy**2
        laplacian = along_y[:, None] + along_x[None, :]
        if not outflow:
            laplacian[0, 0] = np.inf  # the constant pressure is free; choose zero
        self.inverse = 1.0 / laplacian
        self.body = None if solid is None else _Body(solid, self)

    def __call__(self, u: Array, v: Array) -> None:
        """Project in place."""
        waves = scipy.fft.dct(self.divergence(u, v), type=2, axis=0, overwrite_x=True)
        waves = scipy.fft.dct(waves, type=self.kind_x, axis=1, overwrite_x=True)
        waves *= self.inverse
        if self.body is not None:
            self.body.hold(u, v, waves)
        pressure = scipy.fft.idct(waves, type=self.kind_x, axis=1, overwrite_x=True)
        pressure = scipy.fft.idct(pressure, type=2, axis=0, overwrite_x=True)
        u[:, 1:-1] -= (pressure[:, 1:] - pressure[:, :-1]) / self.dx
        v[1:-1] -= (pressure[1:] - pressure[:-1]) / self.dy
        if self.outflow:
            u[:, -1] += 2 * pressure[:, -1] / self.dx  # zero pressure half a cell away
        if self.body is not None:
            self.body.stop(u, v)

    def divergence(self, u: Array, v: Array) -> Array:
        """Divergence in every cell, (H, W)."""
        return (u[:, 1:] - u[:, :-1]) / self.dx + (v[1:] - v[:-1]) / self.dy


class _Body:
    """The solid: forces on its faces that leave no slip there after the projection.

    Everything happens in the smallest block of cells that holds all of its faces, so
    that only small parts of the transforms are needed.
    """

    def __init__(self, solid: NDArray[np.bool_], grid: Projection) -> None:
        rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
        height, width = solid.shape
        if rows[0] == 0 or columns[0] == 0 or rows[-1] == height - 1 or columns[-1] == width - 1:
            raise ValueError("a solid cell is at a side of the domain; leave a cell between them")
        self.rows = slice(rows[0] - 1, rows[-1] + 2)
        self.columns = slice(columns[0] - 1, columns[-1] + 2)
        self.grid = grid
        self.inner_u = self.rows, slice(columns[0], columns[-1] + 2)  # faces inside the block
        self.inner_v = slice(rows[0], rows[-1] + 2), self.columns
        block = solid[self.rows, self.columns]
        self.u, self.v = block[:, 1:] | block[:, :-1], block[1:] | block[:-1]
        self.num_u = int(self.u.sum())
        kinds = (2, height, self.rows), (grid.kind_x, width, self.columns)
        (self.to_waves_y, self.from_waves_y), (self.to_waves_x, self.from_waves_x) = (
            _transforms(*kind) for kind in kinds
        )
        self.force_per_slip = self._schur_inverse()

    def hold(self, u: Array, v: Array, waves: Array) -> None:
        """Add the forces to the velocities, and their pressure to the pressure's spectrum."""
        slip_u, slip_v = self._minus_gradient(waves)
        slip_u += u[self.inner_u]
        slip_v += v[self.inner_v]
        force_u, force_v = self._unpacked(self.force_per_slip @ self._packed(slip_u, slip_v))
        u[self.inner_u] -= force_u
        v[self.inner_v] -= force_v
        waves -= self._pressure_waves(force_u, force_v)

    def stop(self, u: Array, v: Array) -> None:
        """Make the velocities on the faces, round-off by now, exactly zero."""
        u[self.inner_u][self.u] = 0.0
        v[self.inner_v][self.v] = 0.0

    def _minus_gradient(self, waves: Array) -> tuple[Array, Array]:
        pressure = self.from_waves_y @ waves @ self.from_waves_x.T
        along_x = (pressure[:, :-1] - pressure[:, 1:]) / self.grid.dx
        along_y = (pressure[:-1] - pressure[1:]) / self.grid.dy
        return along_x, along_y

    def _pressure_waves(self, force_u: Array, force_v: Array) -> Array:
        divergence = np.zeros((self.v.shape[0] + 1, self.u.shape[1] + 1))
        divergence[:, :-1] = force_u / self.grid.dx
        divergence[:, 1:] -= force_u / self.grid.dx
        divergence[:-1] += force_v / self.grid.dy
        divergence[1:] -= force_v / self.grid.dy
        return np.asarray(self.to_waves_y @ divergence @ self.to_waves_x.T * self.grid.inverse)

    def _packed(self, u: Array, v: Array) -> Array:
        return np.concatenate([u[self.u], v[self.v]])

    def _unpacked(self, faces: Array) -> tuple[Array, Array]:
        u, v = np.zeros(self.u.shape), np.zeros(self.v.shape)
        u[self.u], v[self.v] = faces[: self.num_u], faces[self.num_u :]
        return u, v

    def _schur_inverse(self) -> Array:
        """Forces on the faces per slip that the plain projection leaves there.

        The complement is singular: forces that are gradients of a pressure inside the
        solid move nothing. The pseudo-inverse leaves those out.
        """
        columns = []
        for unit in np.eye(self.num_u + int(self.v.sum())):
            force_u, force_v = self._unpacked(unit)
            slip_u, slip_v = self._minus_gradient(self._pressure_waves(force_u, force_v))
            columns.append(unit + self._packed(slip_u, slip_v))
        complement = np.stack(columns, axis=1)
        return np.asarray(np.linalg.pinv(complement, rcond=1e-10, hermitian=True))


def _transforms(kind: int, count: int, block: slice) -> tuple[Array, Array]:
    """Cosine transform of a field that lives in the block, and its inverse seen in the block."""
    unit = np.eye(count)
    to_waves = scipy.fft.dct(unit, type=kind, axis=0)[:, block]
    from_waves = scipy.fft.idct(unit, type=kind, axis=0)[block]
    return np.ascontiguousarray(to_waves), np.ascontiguousarray(from_waves)
