"""Linear solves in a box: exact by waves without solids, by conjugate gradients with them.

Axes: K fields on one grid of D slices, H rows, W columns.
Without solids the Laplacian is a sum of one matrix per axis, each with waves of its own: Fourier
waves along a periodic axis, eigenvectors between walls (Lynch, Rice and Thomas 1964). With solids
the same solve is the preconditioner.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from data_shards.box.grid import COMPONENTS, SIGNS, Box, Walls, dim_of

MOST_ITERATIONS = 500
Operator = Callable[[Tensor], Tensor]


class SeparableLaplacian:
    """The Laplacian of K fields in an empty box, each with rules of its own at walls.

    Args:
        box: cells and walls; solids are not seen.
        staggered: of each field the axis on whose faces it stands; None for cell centres, where
            it has no slope at walls.
    """

    def __init__(self, box: Box, staggered: Sequence[int | None]) -> None:
        self._box = box
        self._bases: list[tuple[int, Tensor]] = []  # dimension, (K, 1, N, N) of a walled axis
        self._periodic = tuple(dim_of(a) for a in reversed(COMPONENTS) if box.walls[a] is None)
        self.eigenvalues = torch.zeros(len(staggered), *self._wave_grid(), dtype=torch.float64)
        self._kept: tuple[tuple[float, float], Tensor] | None = None
        for axis in COMPONENTS:
            self._add_axis(axis, staggered)

    def solve(self, fields: Tensor, shift: float, scale: float) -> Tensor:
        """(shift - scale * laplacian)^-1 of fields (K, D, H, W).

        Waves that the operator takes to zero (constants, where shift is 0) are left out.
        """
        factors = self._factors(shift, scale)
        for dim, basis in self._bases:
            fields = (fields.movedim(dim, -1) @ basis).movedim(-1, dim)
        if not self._periodic:
            fields = fields * factors
        else:
            waves = torch.fft.rfftn(fields, dim=self._periodic) * factors
            sizes = [self._box.grid[dim] for dim in self._periodic]
            fields = torch.fft.irfftn(waves, s=sizes, dim=self._periodic)
        for dim, basis in self._bases:
            fields = (fields.movedim(dim, -1) @ basis.mT).movedim(-1, dim)
        return fields

    def _factors(self, shift: float, scale: float) -> Tensor:
        """What a solve multiplies the waves by; kept for the next solve, most often the same."""
        if self._kept is None or self._kept[0] != (shift, scale):
            values = shift - scale * self.eigenvalues
            factors = torch.where(values.abs() > 1e-12 * scale, 1 / values, 0.0)
            self._kept = (shift, scale), factors
        return self._kept[1]

    def _wave_grid(self) -> list[int]:
        grid = list(self._box.grid)
        if self._periodic:
            halved = self._periodic[-1]
            grid[halved] = grid[halved] // 2 + 1
        return grid

    def _add_axis(self, axis: int, staggered: Sequence[int | None]) -> None:
        dim, walls = dim_of(axis), self._box.walls[axis]
        count, spacing = self._box.grid[dim], self._box.spacing[axis]
        if walls is None:
            waves = torch.arange(self.eigenvalues.shape[dim], dtype=torch.float64)
            values = (2 * torch.cos(2 * torch.pi * waves / count) - 2)[None]
        else:
            matrices = torch.stack([_between_walls(count, walls, s, axis) for s in staggered])
            values, vectors = torch.linalg.eigh(matrices)
            self._bases.append((dim, vectors[:, None]))
        shape = [values.shape[0], 1, 1, 1]
        shape[dim] = values.shape[1]
        self.eigenvalues = self.eigenvalues + values.reshape(shape) / spacing**2


def _between_walls(count: int, walls: Walls, staggered: int | None, axis: int) -> Tensor:
    """Second difference along an axis with walls, spacing 1."""
    assert walls is not None
    off = torch.ones(count - 1, dtype=torch.float64)
    matrix = torch.diag(off, 1) + torch.diag(off, -1) - 2 * torch.eye(count, dtype=torch.float64)
    if staggered == axis:  # face 0 is the wall, beyond the last face is the other one
        matrix[0, 1] = matrix[1, 0] = 0.0
    else:
        signs = (1.0, 1.0) if staggered is None else tuple(SIGNS[kind] for kind in walls)
        matrix[0, 0] += signs[0]
        matrix[-1, -1] += signs[1]
    return matrix


def conjugate_gradients(
    operator: Operator, precondition: Operator, right: Tensor, start: Tensor, tolerance: float
) -> tuple[Tensor, int]:
    """Solve operator(x) = right, operator and preconditioner symmetric and not negative.

    Args:
        operator, precondition: linear maps.
        right: in the operator's range.
        start: a guess.
        tolerance: largest absolute entry of the residual at the end.

    Returns:
        x and the number of iterations.

    Raises:
        ArithmeticError: no convergence.
    """
    x = start.clone()
    residual = right - operator(x)
    direction, energy = None, 0.0
    for iteration in range(MOST_ITERATIONS):
        if float(residual.abs().max()) <= tolerance:
            return x, iteration
        better = precondition(residual)
        before, energy = energy, float((residual * better).sum())
        direction = better if direction is None else better.add_(direction, alpha=energy / before)
        image = operator(direction)
        step = energy / float((direction * image).sum())
        x.add_(direction, alpha=step)
        residual.sub_(image, alpha=step)
    raise ArithmeticError(
        f"conjugate gradients: residual {float(residual.abs().max()):.2e} after "
        f"{MOST_ITERATIONS} iterations, wanted {tolerance:.2e}"
    )
