"""Router: gate logits in, each sample's experts and their weights out.

Axes: B samples, E routed experts, K experts chosen per sample.
Source: MoE-POT, network item 4. The published code multiplies a Python float
by 0.99 inside `forward` and keeps it nowhere; here the temperature is a
function of the training step.
"""

from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from data_shards.config import Config, later
from foundation.moe.gate import Gate, GateNorm


class TemperatureSchedule(Config):
    """Softmax temperature over training: `max(floor, start * decay ** step)`."""

    start: PositiveFloat = 2.0
    decay: float = Field(default=0.99, gt=0.0, le=1.0)
    floor: PositiveFloat = 0.5

    def at(self, step: int) -> float:
        """Temperature after `step` optimiser steps, dimensionless."""
        return max(self.floor, self.start * self.decay**step)


class RouterConfig(Config):
    """Which experts there are and how a sample chooses among them."""

    num_experts: PositiveInt = 16  # routed only; shared experts are separate
    top_k: PositiveInt = 4
    # What is routed; a sample's whole map as published.
    unit: Literal["sample", "token"] = later("sample")
    gate_norm: GateNorm = "layer"
    temperature: TemperatureSchedule = TemperatureSchedule()

    @model_validator(mode="after")
    def _top_k_fits(self) -> Self:
        if self.top_k > self.num_experts:
            raise ValueError(
                f"router.top_k={self.top_k} exceeds router.num_experts={self.num_experts}; "
                "lower top_k or add experts"
            )
        return self


@dataclass(frozen=True)
class Routing:
    """How one block routed a batch.

    Attributes:
        logits_BE: gate output (B, E).
        experts_BK: chosen experts (B, K) int64, best first.
        weights_BK: their weights (B, K), each row sums to one; zero is not chosen.
    """

    logits_BE: Tensor
    experts_BK: Tensor
    weights_BK: Tensor

    @property
    def shares_BE(self) -> Tensor:
        """Share of each expert in a sample's choices (B, E); each row sums to one."""
        return self.chosen_BE / self.experts_BK.shape[1]

    @property
    def probabilities_BE(self) -> Tensor:
        """Softmax of the logits over all experts (B, E): the fingerprint of a sample."""
        return self.logits_BE.softmax(dim=-1)

    @property
    def chosen_BE(self) -> Tensor:
        """True where an expert was chosen (B, E)."""
        return self.weights_BE > 0

    @property
    def weights_BE(self) -> Tensor:
        """Weights by expert (B, E), zero where not chosen."""
        return torch.zeros_like(self.logits_BE).scatter(1, self.experts_BK, self.weights_BK)


@dataclass(frozen=True)
class PooledRouting(Routing):
    """How the tokens of a block's samples were routed, in the mean over a sample's tokens.

    Any number of experts may be among the chosen: K is E, and those at the end have no weight.
    Logits are the logarithms of mean probabilities, at the temperature of the softmax alone.
    """

    mean_shares_BE: Tensor

    @property
    def shares_BE(self) -> Tensor:
        return self.mean_shares_BE


def pooled(by_token: Routing, samples: int) -> PooledRouting:
    """What tokens of equally many per sample chose, as the routing of their samples.

    Args:
        by_token: of all tokens, those of a sample one after the other.
        samples: B.
    """
    num_experts = by_token.logits_BE.shape[1]
    probabilities_BE, weights_BE, shares_BE = (
        of_token.view(samples, -1, num_experts).mean(1)
        for of_token in (by_token.probabilities_BE, by_token.weights_BE, by_token.shares_BE)
    )
    ordered = weights_BE.sort(dim=1, descending=True)
    return PooledRouting(probabilities_BE.log(), ordered.indices, ordered.values, shares_BE)


class Router(nn.Module):
    """Gate, top-k, and softmax over the chosen logits."""

    def __init__(self, features: int, config: RouterConfig) -> None:
        super().__init__()
        self.top_k = config.top_k
        self.gate = Gate(features, config.num_experts, config.gate_norm)

    def forward(self, features_BF: Tensor, temperature: float | Tensor) -> Routing:
        """Route each sample by its mean features (B, F)."""
        logits_BE = self.gate(features_BF)
        chosen_BK, experts_BK = logits_BE.topk(self.top_k, dim=-1)
        weights_BK = (chosen_BK / temperature).softmax(dim=-1)
        return Routing(logits_BE, experts_BK, weights_BK)
