"""Load-balance losses: importance of the experts of a block in, one number of it out.

Axes: B samples, E routed experts; blocks may stand in front. Pure; `importance` sums over the
samples of one rank and the caller reduces it over ranks before asking for the loss.
Source: MoE-POT (NeurIPS 2025) Eqs. 11-12. The authors' code drops the
division by the mean, so its value grows as B^2; both are here by name.
`switch` is that of Switch transformers (Fedus et al. 2021, Eq. 4): chosen shares by
probabilities, which alone have a gradient.
"""

from typing import Literal

import torch
from torch import Tensor

from foundation.moe.router import Routing

BalanceLoss = Literal["cv2", "reference", "switch"]


def importance_of(routing: Routing, kind: BalanceLoss) -> Tensor:
    """What a block's loss is made of, summed over the samples of a rank.

    Returns:
        Routing weights (..., E); of `switch` chosen shares beside probabilities (..., 2, E).
    """
    if kind == "switch":
        parts = routing.shares_BE.detach(), routing.probabilities_BE
        return torch.stack([part.sum(-2) for part in parts], dim=-2)
    return importance(routing.weights_BE)


def importance(weights_BE: Tensor) -> Tensor:
    """Total routing weight of each expert (..., E).

    Args:
        weights_BE: routing weights (..., B, E), non-negative, zero where not chosen.
    """
    return weights_BE.sum(dim=-2)


def importance_cv2(importance_E: Tensor) -> Tensor:
    """Squared coefficient of variation of expert importance (the paper's Eq. 12).

    Returns:
        (...), dimensionless; 0 iff all experts carry equal weight, E - 1 if one carries all.
    """
    mean = importance_E.mean(-1, keepdim=True)
    return (importance_E - mean).square().mean(-1) / mean[..., 0].square()


def importance_variance(importance_E: Tensor) -> Tensor:
    """Mean squared deviation of importance: what the published code minimises.

    Returns:
        (...) in units of samples squared; grows as B^2.
    """
    return (importance_E - importance_E.mean(-1, keepdim=True)).square().mean(-1)


def switch_loss(shares_and_probabilities_2E: Tensor) -> Tensor:
    """E times the sum of chosen share times mean probability: 1 if even, E if one takes all."""
    shares_E, probabilities_E = shares_and_probabilities_2E.unbind(-2)
    samples = shares_E.sum(-1)
    loss: Tensor = shares_E.shape[-1] * (shares_E * probabilities_E).sum(-1) / samples.square()
    return loss


def balance_loss(importance_E: Tensor, kind: BalanceLoss) -> Tensor:
    """The loss by its configured name, of `importance_of` over all ranks."""
    if kind == "switch":
        return switch_loss(importance_E)
    return importance_cv2(importance_E) if kind == "cv2" else importance_variance(importance_E)
