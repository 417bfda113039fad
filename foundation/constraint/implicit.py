"""A least-squares problem as a layer: fields in, their best weights out, differentiable.

    w*(b) = argmin_w g(w, b),   g = 1/2 |F(w, b)|^2

Axes: B boxes, N weights. Backward by the implicit function theorem: the gradient of g by w is
zero at w*, so a change of b moves w* by -H^-1 d(grad g)/db, H the Hessian of g by w. It is the
whole one: without the curvature of F (Gauss-Newton's J^T J) gradients are wrong by a tenth where
the residual is not small. Nothing of the iterations is kept.
Source: PI-HC-MoE (ICLR 2024), whose code differentiates the same root. Departure: where a solve
ended badly the gradient is defined: directions that the Hessian leaves undetermined have none,
and boxes with anything that is not finite have none at all.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap

from foundation.constraint.levenberg_marquardt import (
    Curvature,
    Ending,
    Residual,
    SolverConfig,
    least_squares,
    objective_of,
    second_derivatives,
)

_UNDETERMINED = 1e-14  # of the largest curvature, below which a direction has none


def solved(
    residual: Residual,
    start_BN: Tensor,
    own: tuple[Tensor, ...],
    config: SolverConfig,
    curvature: Curvature = "exact",
) -> Ending:
    """As `least_squares`, with weights through which gradients reach the boxes' tensors.

    Args:
        residual: of one box, twice differentiable by `torch.func`.
        start_BN: first weights; no gradient reaches them, as the end does not depend on them.
        own: tensors of the boxes, floating, (B, ...) each.
        config: when to end. Gradients are as good as the end: their relative error is about
            that of the remaining gradient.
        curvature: of the backward pass; `gauss_newton` shows what it costs to leave it out.
    """
    return Ending(*_Solved.apply(residual, config, curvature, start_BN, *own))  # type: ignore[no-untyped-call]


class _Solved(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        residual: Residual,
        config: SolverConfig,
        curvature: Curvature,
        start_BN: Tensor,
        *own: Tensor,
    ) -> tuple[Tensor, ...]:
        ending = least_squares(residual, start_BN, own, config)
        ctx.residual, ctx.curvature = residual, curvature
        ctx.save_for_backward(ending.weights_BN, *own)
        ctx.mark_non_differentiable(ending.gradient_B, ending.iterations_B, ending.converged_B)
        return ending.weights_BN, ending.gradient_B, ending.iterations_B, ending.converged_B

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, arriving_BN: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        weights_BN, *own = ctx.saved_tensors
        residual, objective = ctx.residual, objective_of(ctx.residual)
        matrix_BNN = vmap(second_derivatives(residual, ctx.curvature))(weights_BN, *own)
        along_BN = -_solve_symmetric(matrix_BNN, arriving_BN)
        wanted = tuple(i for i, needed in enumerate(ctx.needs_input_grad[4:]) if needed)

        def slope(weights_N: Tensor, along_N: Tensor, *tensors: Tensor) -> Tensor:
            """Of the objective along a direction of the weights."""
            found: Tensor = jvp(lambda w_N: objective(w_N, *tensors), (weights_N,), (along_N,))[1]
            return found

        gradients: list[Tensor | None] = [None] * len(own)
        if wanted:
            places = tuple(i + 2 for i in wanted)
            found = vmap(grad(slope, argnums=places))(weights_BN, along_BN, *own)
            for place, gradient in zip(wanted, found, strict=True):
                gradients[place] = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        return None, None, None, None, *gradients


def _solve_symmetric(matrix_BNN: Tensor, right_BN: Tensor) -> Tensor:
    """By eigenvectors, without those directions that the matrix leaves undetermined."""
    is_finite_B = torch.isfinite(matrix_BNN).all((1, 2)) & torch.isfinite(right_BN).all(1)
    matrix_BNN = torch.where(is_finite_B[:, None, None], matrix_BNN, 0.0)
    right_BN = torch.where(is_finite_B[:, None], right_BN, 0.0)
    values_BN, vectors_BNN = torch.linalg.eigh(matrix_BNN)
    least_B1 = _UNDETERMINED * values_BN.abs().amax(1, keepdim=True)
    is_determined_BN = values_BN.abs() > least_B1
    inverse_BN = torch.where(is_determined_BN, values_BN, torch.inf).reciprocal()
    along_BN = torch.einsum("bnk,bn->bk", vectors_BNN, right_BN) * inverse_BN
    return torch.einsum("bnk,bk->bn", vectors_BNN, along_BN)
