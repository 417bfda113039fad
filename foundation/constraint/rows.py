"""Residuals of one box, and their derivatives by the weights of its basis fields.

Axes: N basis fields, J = N + 1 of them with a known one before; D derivatives; M points at which
a box is solved, R rows of conditions; P parameters of the equation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap

from foundation.constraint.levenberg_marquardt import Curvature, Parts
from foundation.physics.evolution import Evolution


class BoxTensors(NamedTuple):
    """What the rows of one box are made of; scales are zero for rows that do not count."""

    jets_MDJ: Tensor
    source_M: Tensor
    edges_RJ: Tensor
    scales_M: Tensor
    scales_R: Tensor
    coefficients_P: Tensor
    unit: Tensor


@dataclass(frozen=True)
class BoxRows:
    """Residuals of one box: of the equation, of its conditions and of the ridge.

    Its tensors come one by one, as `BoxTensors` has them.
    """

    equation: Evolution
    ridge: float

    def __call__(self, weights_N: Tensor, *tensors: Tensor) -> Tensor:
        box, weights_J = BoxTensors(*tensors), with_known(weights_N)
        values_DM = (box.jets_MDJ @ weights_J).mT
        left_M = self.equation.residual(values_DM, box.coefficients_P.unbind(0)) - box.source_M
        rows = [box.unit * left_M * box.scales_M, (box.edges_RJ @ weights_J) * box.scales_R]
        return torch.cat([*rows, self.ridge * box.scales_M.max() * weights_N])

    def parts(self, curvature: Curvature, weights_N: Tensor, *tensors: Tensor) -> Parts:
        """Second derivatives, gradient and objective, by the few derivatives of a point.

        The same as `torch.func` finds, several times as fast: the equation is differentiated by
        D numbers in a point instead of N weights.
        """
        rows, box = self(weights_N, *tensors), BoxTensors(*tensors)
        ridge, count = self.ridge * box.scales_M.max(), len(box.scales_M)
        points_M, ends_R = rows[:count], rows[count : -len(weights_N)]
        units_M, basis_MDN = box.unit * box.scales_M, box.jets_MDJ[:, :, 1:]
        values_DM = (box.jets_MDJ @ with_known(weights_N)).mT

        def at_points(values_DM: Tensor) -> Tensor:
            left_M = self.equation.residual(values_DM, box.coefficients_P.unbind(0))
            return left_M * units_M

        slopes_DM = grad(lambda values: at_points(values).sum())(values_DM)
        jacobian_MN = torch.einsum("dm,mdn->mn", slopes_DM, basis_MDN)
        ends_RN = box.edges_RJ[:, 1:] * box.scales_R[:, None]
        matrix_NN = jacobian_MN.mT @ jacobian_MN + ends_RN.mT @ ends_RN
        matrix_NN = matrix_NN + ridge**2 * torch.eye(
            len(weights_N), dtype=rows.dtype, device=rows.device
        )
        if curvature == "exact":
            curvatures = _curvatures(at_points, values_DM)
            bent_MDN = torch.einsum("dem,men->mdn", curvatures * points_M, basis_MDN)
            matrix_NN = matrix_NN + torch.einsum("mdn,mdk->nk", basis_MDN, bent_MDN)
        gradient_N = points_M @ jacobian_MN + ends_R @ ends_RN
        gradient_N = gradient_N + rows[-len(weights_N) :] * ridge
        return matrix_NN, (gradient_N, rows.square().sum() / 2)


def _curvatures(rows: Callable[[Tensor], Tensor], values_DM: Tensor) -> Tensor:
    """Second derivatives of every row by the values in its point, (D, D, M)."""
    gradient = grad(lambda values: rows(values).sum())
    directions = torch.eye(len(values_DM), dtype=values_DM.dtype, device=values_DM.device)
    along = directions[:, :, None].expand(-1, -1, values_DM.shape[1])
    found: Tensor = vmap(lambda direction: jvp(gradient, (values_DM,), (direction,))[1])(along)
    return found


def with_known(weights_N: Tensor) -> Tensor:
    """Weights (J,) with that of the known field, which is one, before them."""
    return torch.cat([torch.ones_like(weights_N[:1]), weights_N])
