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
        solid: (H, W), True in solid cells.
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
        self.solid_u, self.solid_v = _faces(np.zeros(shape, bool) if solid is None else solid)
        self.num_u = int(self.solid_u.sum())
        self.forces_per_slip = self._schur_inverse() if solid is not None else None

    def __call__(self, u: Array, v: Array) -> None:
        """Project in place."""
        self._remove_divergence(u, v)
        if self.forces_per_slip is None:
            return
        slip = np.concatenate([u[self.solid_u], v[self.solid_v]])
        force = self.forces_per_slip @ slip
        u[self.solid_u] -= force[: self.num_u]
        v[self.solid_v] -= force[self.num_u :]
        self._remove_divergence(u, v)
        u[self.solid_u] = 0.0  # was round-off
        v[self.solid_v] = 0.0

    def divergence(self, u: Array, v: Array) -> Array:
        """Divergence in every cell, (H, W)."""
        return np.asarray(np.diff(u, axis=1) / self.dx + np.diff(v, axis=0) / self.dy)

    def _remove_divergence(self, u: Array, v: Array) -> None:
        waves = scipy.fft.dct(self.divergence(u, v), type=2, axis=0, overwrite_x=True)
        waves = scipy.fft.dct(waves, type=self.kind_x, axis=1, overwrite_x=True)
        waves *= self.inverse
        pressure = scipy.fft.idct(waves, type=self.kind_x, axis=1, overwrite_x=True)
        pressure = scipy.fft.idct(pressure, type=2, axis=0, overwrite_x=True)
        u[:, 1:-1] -= np.diff(pressure, axis=1) / self.dx
        v[1:-1] -= np.diff(pressure, axis=0) / self.dy
        if self.outflow:
            u[:, -1] += 2 * pressure[:, -1] / self.dx  # zero pressure half a cell away

    def _schur_inverse(self) -> Array:
        """Forces on the solid faces per slip left by the plain projection.

        The complement is singular: forces that are gradients of a pressure inside the
        solid move nothing. The pseudo-inverse leaves those out.
        """
        height, width = self.inverse.shape
        columns = []
        for mask, other in ((self.solid_u, False), (self.solid_v, True)):
            for row, column in np.argwhere(mask):
                u, v = np.zeros((height, width + 1)), np.zeros((height + 1, width))
                (v if other else u)[row, column] = 1.0
                self._remove_divergence(u, v)
                columns.append(np.concatenate([u[self.solid_u], v[self.solid_v]]))
        return np.linalg.pinv(np.stack(columns, axis=1), rcond=1e-10, hermitian=True)


def _faces(solid: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Faces that belong to at least one solid cell, (H, W + 1) and (H + 1, W)."""
    height, width = solid.shape
    u, v = np.zeros((height, width + 1), bool), np.zeros((height + 1, width), bool)
    u[:, :-1] |= solid
    u[:, 1:] |= solid
    v[:-1] |= solid
    v[1:] |= solid
    return u, v
