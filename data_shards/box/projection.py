"""Exact discrete projection in a box: a velocity in, the nearest one without divergence out.

Axes: D slices, H rows, W columns; see `grid`. Without solids one solve by waves, with them
conjugate gradients down to round-off.
"""

import torch
from torch import Tensor

from data_shards.box.grid import Box
from data_shards.box.solve import SeparableLaplacian, conjugate_gradients

ROUND_OFF = 1e-13  # of speed / spacing: what is left of the divergence


class Projection:
    """Takes the gradient out of a velocity; exact to round-off."""

    def __init__(self, box: Box, round_off: float = ROUND_OFF) -> None:
        """Plan it.

        Args:
            box: geometry and grid.
            round_off: of speed / spacing, what is left of the divergence beside solids.
        """
        self.box, self._round_off = box, round_off
        self._laplacian = SeparableLaplacian(box, [None])
        self.iterations = 0  # of the last call

    def __call__(self, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest velocity without divergence that is zero on closed faces, and the potential.

        Args:
            velocity: (3, D, H, W), zero on closed faces.

        Returns:
            velocity - grad(potential) (3, D, H, W), and the potential (D, H, W).
        """
        box = self.box
        right = -box.divergence(velocity)
        if not box.has_solid:
            potential = self._waves(right)
        else:
            scale = float(velocity.abs().max()) / min(box.spacing)
            start = torch.zeros_like(right)
            potential, self.iterations = conjugate_gradients(
                self._minus_laplacian, self._waves, right, start, self._round_off * scale
            )
        return velocity - box.gradient(potential), potential

    def _minus_laplacian(self, potential: Tensor) -> Tensor:
        return -self.box.laplacian_of_pressure(potential)

    def _waves(self, right: Tensor) -> Tensor:
        """Exact without solids; with them near enough to precondition."""
        return self._laplacian.solve(right[None], 0.0, 1.0)[0] * self.box.fluid
