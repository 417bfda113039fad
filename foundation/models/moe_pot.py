"""MoE-POT: context frames of a PDE solution in, next frames and routing out.

Axes: B samples, h, w patches (N of them), D width.
Source: MoE-POT (NeurIPS 2025). Departures, each a named value of the
configuration whose default is ours and whose other value is the paper's:
`router.gate_norm` (layer | batch). One is not: before the router's temperature
has reached its floor (138 steps), evaluation uses the training step's, not the
floor. Additions, off in the paper's presets: `instance_norm` and `target`, see
network.py.
"""

from typing import Literal, Self

import torch
from pydantic import NonNegativeInt, model_validator
from torch import Tensor, nn

from foundation.models.annealed import AnnealedNetwork, with_context
from foundation.models.mixture import Mixture
from foundation.models.operator_transformer import (
    NUM_NORM_GROUPS,
    OperatorTransformer,
    OperatorTransformerConfig,
    work_with,
)
from foundation.models.types import ParameterCounts
from foundation.models.work import Work
from foundation.moe.experts import ExpertBank
from foundation.moe.gate import gate_products
from foundation.moe.mixture import MixtureOfExperts
from foundation.moe.router import RouterConfig, Routing
from foundation.nn.fourier import FourierLayer
from foundation.nn.normalise import norm_last


class MoEPOTConfig(OperatorTransformerConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["moe_pot"] = "moe_pot"
    num_shared: NonNegativeInt = 2
    router: RouterConfig = RouterConfig()

    @model_validator(mode="after")
    def _tokens_are_routed_alone(self) -> Self:
        if self.router.neighbourhood > 1:
            raise ValueError("router.neighbourhood is of networks of boxes; leave it out")
        return self

    @property
    def mixture(self) -> Mixture:
        return Mixture(
            self.router,
            blocks=self.blocks,
            tokens=(self.resolution // self.patch) ** 2,
            width=self.width,
            features=self.width * self.mlp_ratio,
            num_shared=self.num_shared,
        )


class Block(nn.Module):
    """Norm, Fourier layer, norm, mixture of experts; one skip around all."""

    def __init__(self, config: MoEPOTConfig) -> None:
        super().__init__()
        width = config.width
        self.norm_space = nn.GroupNorm(NUM_NORM_GROUPS, width)
        self.fourier = FourierLayer(
            width, config.heads, config.modes, config.resolution // config.patch
        )
        self.norm_moe = nn.GroupNorm(NUM_NORM_GROUPS, width)
        self.moe = MixtureOfExperts(
            width, width * config.mlp_ratio, config.num_shared, config.router
        )

    def forward(
        self, x_BhwD: Tensor, temperature: Tensor, decided: Routing | None
    ) -> tuple[Tensor, Routing]:
        """(B, h, w, D) -> (B, h, w, D) and the block's routing."""
        x = self.fourier(norm_last(self.norm_space, x_BhwD))
        x = norm_last(self.norm_moe, x)
        mixed, routing = self.moe(x.flatten(1, 2), temperature, decided)
        return x_BhwD + mixed.view_as(x_BhwD), routing


class MoEPOT(OperatorTransformer, AnnealedNetwork):
    """The mixture-of-experts operator transformer."""

    config: MoEPOTConfig

    def __init__(self, config: MoEPOTConfig) -> None:
        super().__init__(config, (Block(config) for _ in range(config.blocks)))

    @property
    def router(self) -> RouterConfig:
        return self.config.router

    def reset(self, generator: torch.Generator) -> None:
        """As the shared parts; step 0."""
        super().reset(generator)
        AnnealedNetwork.reset(self, generator)

    def through_blocks(
        self, x_BhwD: Tensor, decided: Routing | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        return self.routed_through(self.blocks, x_BhwD, decided)

    def parameter_counts(self) -> ParameterCounts:
        """All parameters, and those that one sample passes."""
        total = sum(p.numel() for p in self.parameters())
        banks = (m for m in self.modules() if isinstance(m, ExpertBank))
        routed = sum(p.numel() for bank in banks for p in bank.parameters())
        router = self.config.router
        unused = routed // router.num_experts * (router.num_experts - router.top_k)
        return ParameterCounts(total, total - unused)


def work(config: MoEPOTConfig) -> Work:
    """Of a forward pass on one sample."""
    return with_context(work_with(config, *_mixture(config)), config, config.router)


def _mixture(config: MoEPOTConfig) -> tuple[int, int]:
    """Multiply-adds and kept numbers of a block's mixture of experts."""
    tokens, width = (config.resolution // config.patch) ** 2, config.width
    features, chosen = width * config.mlp_ratio, config.router.top_k
    computed = chosen + config.num_shared
    gate = gate_products(features, config.router.num_experts)
    kept = 2 * features + computed * width
    work = tokens * features * width * (1 + computed)
    if config.router.decides_first:
        return work, tokens * kept
    if config.router.unit == "sample":
        return work + gate, tokens * kept
    # Every token passes the gate, whose maps and norms keep what goes in.
    return work + tokens * gate, tokens * (kept + 14 * features)
