"""What a MoE-POT costs before it is built: a configuration in, counts and bytes out.

Closed forms over the network's matrix products; FFTs and element-wise work,
a few per cent of the arithmetic, are left out. One multiply-add is 2 FLOPs.
"""

from dataclasses import dataclass

import torch

from foundation.models.moe_pot import MoEPOT, MoEPOTConfig
from foundation.models.types import ParameterCounts
from foundation.moe.experts import ExpertBank

_BACKWARD = 3  # forward and backward together cost three forwards
_MASTERS = 12  # bytes per parameter: float32 master and two Adam moments


@dataclass(frozen=True)
class Cost:
    """Of one model under one layout of ranks.

    Attributes:
        parameters: total and activated.
        expert_parameters: of all routed experts.
        flops_forward: per sample.
        flops_step: per sample, forward and backward.
        weight_bytes, gradient_bytes, optimiser_bytes: per rank.
        activation_bytes: per rank at the given micro-batch, an estimate.
    """

    parameters: ParameterCounts
    expert_parameters: int
    flops_forward: int
    flops_step: int
    weight_bytes: int
    gradient_bytes: int
    optimiser_bytes: int
    activation_bytes: int

    @property
    def rank_bytes(self) -> int:
        """Sum of the four parts of a rank's memory."""
        return (
            self.weight_bytes + self.gradient_bytes + self.optimiser_bytes + self.activation_bytes
        )


def cost_of(
    config: MoEPOTConfig, world: int, ep_size: int, zero_stage: int, bf16: bool, micro_batch: int
) -> Cost:
    """Count parameters, arithmetic and memory.

    Args:
        config: of the model.
        world: ranks.
        ep_size: ranks that share one set of experts.
        zero_stage: 0, 1 or 2.
        bf16: whether weights and activations are bfloat16.
        micro_batch: samples per rank and forward.
    """
    with torch.device("meta"):
        model = MoEPOT(config)
    counts = model.parameter_counts()
    experts = sum(
        p.numel() for m in model.modules() if isinstance(m, ExpertBank) for p in m.parameters()
    )
    size = 2 if bf16 else 4
    dense, local = counts.total - experts, experts // ep_size
    shards_dense, shards_expert = (world, world // ep_size) if zero_stage else (1, 1)
    sharded = dense // shards_dense + local // shards_expert
    forward = _forward_flops(config)
    return Cost(
        parameters=counts,
        expert_parameters=experts,
        flops_forward=forward,
        flops_step=_BACKWARD * forward,
        weight_bytes=size * (dense + local),
        gradient_bytes=size * (sharded if zero_stage == 2 else dense + local),
        optimiser_bytes=(_MASTERS if zero_stage else 8) * sharded,
        activation_bytes=size * micro_batch * _activations(config),
    )


def _sizes(config: MoEPOTConfig) -> tuple[int, int, int, int]:
    side = config.resolution // config.patch
    computed = config.router.top_k + config.num_shared
    return side, side * side, config.width * config.mlp_ratio, computed


def _forward_flops(config: MoEPOTConfig) -> int:
    side, tokens, features, computed = _sizes(config)
    width, patch, channels = config.width, config.patch, config.channels
    between = channels * patch + 3
    embed = config.context_frames * tokens * between * (channels * patch**2 + width)
    modes = min(config.modes, side) * min(config.modes, side // 2 + 1)
    fourier = modes * 2 * config.heads * (2 * width // config.heads) ** 2
    gate = features * (4 * features + config.router.num_experts) + 4 * features * features // 8
    block = fourier + tokens * features * width * (1 + computed) + gate
    pixels = config.resolution**2
    head = tokens * width * patch**2 * config.head_width
    head += pixels * config.head_width * (config.head_width + channels * config.out_frames)
    return 2 * (embed + config.blocks * block + head)


def _activations(config: MoEPOTConfig) -> int:
    """Numbers kept for the backward pass, per sample."""
    _, tokens, features, computed = _sizes(config)
    width = config.width
    frames = config.context_frames * (config.channels + 3) * config.resolution**2
    embed = frames + config.context_frames * tokens * 2 * config.channels * config.patch
    # Per block: two norms and skips, the spectrum in float32, features, and per expert in and out.
    block = tokens * (6 * width + 8 * width + 2 * features + computed * (features + 2 * width))
    head = 4 * config.head_width * config.resolution**2
    return embed + config.blocks * block + head
