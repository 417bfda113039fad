"""DPOT, the dense twin of MoE-POT: context frames of a PDE solution in, next frames out.

Axes: B samples, h, w patches, D width, F = D times MLP ratio.
Source: DPOT (ICML 2024). Where MoE-POT mixes experts, every sample passes the
same two-layer perceptron; all the rest is shared code. No departures.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from foundation.models.operator_transformer import (
    NUM_NORM_GROUPS,
    OperatorTransformer,
    OperatorTransformerConfig,
    work_with,
)
from foundation.models.work import Work
from foundation.moe.router import Routing
from foundation.nn.fourier import FourierLayer
from foundation.nn.normalise import norm_last


class DPOTConfig(OperatorTransformerConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["dpot"] = "dpot"


class Block(nn.Module):
    """Norm, Fourier layer, norm, perceptron; one skip around all."""

    def __init__(self, config: DPOTConfig) -> None:
        super().__init__()
        width = config.width
        self.norm_space = nn.GroupNorm(NUM_NORM_GROUPS, width)
        self.fourier = FourierLayer(
            width, config.heads, config.modes, config.resolution // config.patch
        )
        self.norm_mlp = nn.GroupNorm(NUM_NORM_GROUPS, width)
        self.widen = nn.Linear(width, width * config.mlp_ratio)
        self.narrow = nn.Linear(width * config.mlp_ratio, width)

    def forward(self, x_BhwD: Tensor) -> Tensor:
        """(B, h, w, D) -> (B, h, w, D)."""
        x = self.fourier(norm_last(self.norm_space, x_BhwD))
        x = norm_last(self.norm_mlp, x)
        mixed: Tensor = self.narrow(F.gelu(self.widen(x)))
        return x_BhwD + mixed


class DPOT(OperatorTransformer):
    """The denoising operator transformer."""

    def __init__(self, config: DPOTConfig) -> None:
        super().__init__(config, (Block(config) for _ in range(config.blocks)))

    def through_blocks(
        self, x_BhwD: Tensor, decided: Routing | None
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        for block in self.blocks:
            x_BhwD = self.run_block(block, x_BhwD)
        return x_BhwD, ()


def work(config: DPOTConfig) -> Work:
    """Of a forward pass on one sample."""
    return work_with(config, *_perceptron(config))


def _perceptron(config: DPOTConfig) -> tuple[int, int]:
    """Multiply-adds and kept numbers of a block's perceptron."""
    tokens = (config.resolution // config.patch) ** 2
    features = config.width * config.mlp_ratio
    return 2 * tokens * features * config.width, 2 * tokens * features
