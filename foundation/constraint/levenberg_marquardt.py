"""Nonlinear least squares in many boxes at once: residuals in, minimisers and how they ended out.

    min_w 1/2 |F(w)|^2

Axes: B boxes, M rows of residuals, N weights (at most 64 or so). Every box has a damping and an
end of its own; boxes that are done are left alone. Meant for float64.
Levenberg (1944) and Marquardt (1963): steps of (A + damping D) s = -J^T F, A = J^T J or the whole
Hessian, D its diagonal, by Cholesky; a step is taken by the ratio of the decrease to the one that
the quadratic model promises. Where both drown in the round-off of the objective that ratio means
nothing, and a step is taken if it makes the gradient smaller: otherwise a solve stalls at a
gradient of about the root of the round-off. Iterations are their own refinement, so that a linear
problem is solved to round-off though the normal equations square its condition.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor
from torch.func import grad_and_value, jacfwd, vmap

from data_shards.config import Config

Residual = Callable[..., Tensor]  # of one box: weights (N,) and its own tensors in, (M,) out
# Second derivatives of the objective: J^T J with the curvature of F, or without.
Curvature = Literal["exact", "gauss_newton"]
Parts = tuple[Tensor, tuple[Tensor, Tensor]]  # second derivatives; gradient and objective

_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-16, 1e12
_NOISE = 64  # round-offs of the objective within which a decrease means nothing


class SolverConfig(Config):
    """When a solve ends."""

    tolerance: PositiveFloat = 1e-4  # of the gradient's norm, absolute
    iterations: PositiveInt = 50
    # Of the steps; gauss_newton as published. It crawls where the residual stays large: to 1e-7
    # on a random problem in 79 steps, exact in 4.
    curvature: Curvature = "exact"


@dataclass(frozen=True)
class Ending:
    """Where the solve of every box ended.

    Attributes:
        weights_BN: the minimisers; the best found where it did not converge, the start where the
            residual is not finite there.
        gradient_B: norm of J^T F at them.
        iterations_B: steps tried, int64.
        converged_B: whether the gradient is within the tolerance.
    """

    weights_BN: Tensor
    gradient_B: Tensor
    iterations_B: Tensor
    converged_B: Tensor


@dataclass
class _State:
    """Of the boxes that are still solved, or of a step that is tried."""

    weights_BN: Tensor
    objective_B: Tensor
    gradient_BN: Tensor
    matrix_BNN: Tensor  # J^T J, or the whole Hessian

    @classmethod
    def at(
        cls, residual: Residual, weights_BN: Tensor, own: list[Tensor], curvature: Curvature
    ) -> "_State":
        parts = _parts_of(residual, curvature)
        matrix_BNN, (gradient_BN, objective_B) = vmap(parts)(weights_BN, *own)
        return cls(weights_BN, objective_B, gradient_BN, matrix_BNN)

    @property
    def is_finite_B(self) -> Tensor:
        return torch.isfinite(self.objective_B) & torch.isfinite(self.matrix_BNN).all((1, 2))

    def __getitem__(self, rows: Tensor) -> "_State":
        return _State(*(part[rows] for part in vars(self).values()))

    def where(self, chosen_B: Tensor, other: "_State") -> "_State":
        """Own values where chosen, else those of another."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _State(
            *(torch.where(chosen_B.view(-1, *(1,) * (a.ndim - 1)), a, b) for a, b in pairs)
        )


def objective_of(residual: Residual) -> Residual:
    """Half the sum of squares, a scalar."""
    return lambda weights_N, *own: residual(weights_N, *own).square().sum() / 2


def second_derivatives(residual: Residual, curvature: Curvature) -> Residual:
    """Those of the objective by the weights, (N, N)."""
    return lambda weights_N, *own: _parts_of(residual, curvature)(weights_N, *own)[0]


def _parts_of(residual: Residual, curvature: Curvature) -> Callable[..., Parts]:
    """By the residual's own `parts`, if it knows its structure, else by `torch.func`."""
    if own := getattr(residual, "parts", None):
        return partial(own, curvature)
    return _whole(residual) if curvature == "exact" else _without_curvature(residual)


def _whole(residual: Residual) -> Callable[..., Parts]:
    def slope(weights_N: Tensor, *own: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        gradient_N, objective = grad_and_value(objective_of(residual))(weights_N, *own)
        return gradient_N, (gradient_N, objective)

    parts: Callable[..., Parts] = jacfwd(slope, has_aux=True)
    return parts


def _without_curvature(residual: Residual) -> Callable[..., Parts]:
    def twice(weights_N: Tensor, *own: Tensor) -> tuple[Tensor, Tensor]:
        rows_M = residual(weights_N, *own)
        return rows_M, rows_M

    def parts(weights_N: Tensor, *own: Tensor) -> Parts:
        jacobian_MN, rows_M = jacfwd(twice, has_aux=True)(weights_N, *own)
        return jacobian_MN.mT @ jacobian_MN, (rows_M @ jacobian_MN, rows_M.square().sum() / 2)

    return parts


# In inference mode torch 2.11 does not know how to batch forward derivatives.
@torch.inference_mode(False)
@torch.no_grad()
def least_squares(
    residual: Residual, start_BN: Tensor, own: tuple[Tensor, ...], config: SolverConfig
) -> Ending:
    """Minimise the sum of squares in every box.

    Args:
        residual: of one box, differentiable by `torch.func`: (N,) and its tensors in, (M,) out.
        start_BN: first weights.
        own: tensors of the boxes, (B, ...) each.
        config: when to end.
    """
    start_BN, *tensors = (_derivable(tensor) for tensor in (start_BN, *own))
    state = _State.at(residual, start_BN, tensors, config.curvature)
    weights_BN = state.weights_BN.clone()
    gradient_B = state.gradient_BN.norm(dim=1)
    iterations_B = torch.zeros(len(start_BN), dtype=torch.int64, device=start_BN.device)
    damping_B = torch.full_like(gradient_B, _FIRST_DAMPING)
    # A box whose first residual is not finite has nowhere to go: its gradient tells.
    active = (state.is_finite_B & (gradient_B > config.tolerance)).nonzero().squeeze(1)
    state, damping_B = state[active], damping_B[active]
    for _ in range(config.iterations):
        if not len(active):
            break
        own_active = [tensor[active] for tensor in tensors]
        state, damping_B = _step(residual, state, damping_B, own_active, config.curvature)
        weights_BN[active] = state.weights_BN
        gradient_B[active] = state.gradient_BN.norm(dim=1)
        iterations_B[active] += 1
        goes_on = (gradient_B[active] > config.tolerance) & (damping_B < _MOST_DAMPING)
        active, state, damping_B = active[goes_on], state[goes_on], damping_B[goes_on]
    return Ending(weights_BN, gradient_B, iterations_B, gradient_B <= config.tolerance)


def _derivable(tensor: Tensor) -> Tensor:
    """Without its history; a copy of what inference mode made, which no derivative may pass."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def _step(
    residual: Residual,
    state: _State,
    damping_B: Tensor,
    own: list[Tensor],
    curvature: Curvature,
) -> tuple[_State, Tensor]:
    """One step of every box, taken or not, and the damping of the next."""
    step_BN, is_solved_B = _damped_step(state, damping_B)
    trial = _State.at(residual, state.weights_BN + step_BN, own, curvature)
    promised_B = -(step_BN * state.gradient_BN).sum(1) - _quadratic(state.matrix_BNN, step_BN) / 2
    found_B = state.objective_B - trial.objective_B
    noise_B = _NOISE * torch.finfo(found_B.dtype).eps * state.objective_B
    is_noise_B = (promised_B <= noise_B) & (found_B.abs() <= noise_B)
    is_flatter_B = trial.gradient_BN.norm(dim=1) < state.gradient_BN.norm(dim=1)
    ratio_B = found_B / promised_B.clamp(min=torch.finfo(found_B.dtype).tiny)
    ratio_B = torch.where(is_noise_B, torch.where(is_flatter_B, 1.0, -1.0), ratio_B)
    is_taken_B = (ratio_B > 0) & trial.is_finite_B & is_solved_B
    factor_B = torch.where(ratio_B > 0.75, 0.1, torch.where(ratio_B > 0.25, 1.0, 4.0))
    factor_B = torch.where(is_taken_B, factor_B, 10.0)
    return trial.where(is_taken_B, state), (damping_B * factor_B).clamp(min=_LEAST_DAMPING)


def _damped_step(state: _State, damping_B: Tensor) -> tuple[Tensor, Tensor]:
    """The step in units of the columns' norms, so that fields of any size are damped alike."""
    scale_BN = state.matrix_BNN.diagonal(dim1=1, dim2=2).abs().sqrt()
    scale_BN = torch.where(scale_BN > 0, scale_BN, 1.0)
    scaled_BNN = state.matrix_BNN / (scale_BN[:, :, None] * scale_BN[:, None])
    scaled_BNN.diagonal(dim1=1, dim2=2).add_(damping_B[:, None])
    factor_BNN, info_B = torch.linalg.cholesky_ex(scaled_BNN)
    is_solved_B = info_B == 0
    right_BN1 = -(state.gradient_BN / scale_BN)[..., None]
    step_BN = torch.cholesky_solve(right_BN1, factor_BNN).squeeze(-1) / scale_BN
    return torch.where(is_solved_B[:, None], step_BN, 0.0), is_solved_B


def _quadratic(matrix_BNN: Tensor, vector_BN: Tensor) -> Tensor:
    return torch.einsum("bn,bnm,bm->b", vector_BN, matrix_BNN, vector_BN)
