"""Load-balance losses: importance of the experts of a block in, one scalar out.

Axes: B samples, E routed experts. Pure; `importance` sums over the samples of
one rank and the caller reduces it over ranks before asking for the loss.
Source: MoE-POT (NeurIPS 2025) Eqs. 11-12. The authors' code drops the
division by the mean, so its value grows as B^2; both are here by name.
"""

from typing import Literal

from torch import Tensor

BalanceLoss = Literal["cv2", "reference"]


def importance(weights_BE: Tensor) -> Tensor:
    """Total routing weight of each expert (E,).

    Args:
        weights_BE: routing weights (B, E), non-negative, zero where not chosen.
    """
    return weights_BE.sum(dim=0)


def importance_cv2(importance_E: Tensor) -> Tensor:
    """Squared coefficient of variation of expert importance (the paper's Eq. 12).

    Returns:
        Scalar, dimensionless; 0 iff all experts carry equal weight, E - 1 if one carries all.

    Raises:
        ValueError: not 1-D.
    """
    if importance_E.ndim != 1:
        raise ValueError(f"importance is {tuple(importance_E.shape)}, wanted (E,)")
    mean = importance_E.mean()
    return (importance_E - mean).square().mean() / mean.square()


def importance_variance(importance_E: Tensor) -> Tensor:
    """Mean squared deviation of importance: what the published code minimises.

    Returns:
        Scalar in units of samples squared; grows as B^2.
    """
    return (importance_E - importance_E.mean()).square().mean()


def balance_loss(importance_E: Tensor, kind: BalanceLoss) -> Tensor:
    """The loss by its configured name."""
    return importance_cv2(importance_E) if kind == "cv2" else importance_variance(importance_E)
