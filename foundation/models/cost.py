"""What a model costs before it is built: a configuration and a layout in, counts and bytes out."""

from dataclasses import dataclass

from foundation.models.registry import ModelConfig, outline_model
from foundation.models.types import ParameterCounts
from foundation.models.work import work_of
from foundation.moe.experts import ExpertBank

_BACKWARD = 3  # forward and backward together cost three forwards
_MASTERS = 12  # bytes per parameter: float32 master and two Adam moments


@dataclass(frozen=True)
class Cost:
    """Of one model under one layout of ranks.

    Attributes:
        parameters: total and activated.
        expert_parameters: of all routed experts; 0 in a dense network.
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
    config: ModelConfig, world: int, ep_size: int, zero_stage: int, bf16: bool, micro_batch: int
) -> Cost:
    """Count parameters, arithmetic and memory.

    Args:
        config: of the model.
        world: ranks.
        ep_size: ranks that share one set of experts; 1 for a dense network.
        zero_stage: 0, 1 or 2.
        bf16: whether weights and activations are bfloat16.
        micro_batch: samples per rank and forward.
    """
    model, work = outline_model(config), work_of(config)
    counts = model.parameter_counts()
    experts = sum(
        p.numel() for m in model.modules() if isinstance(m, ExpertBank) for p in m.parameters()
    )
    size = 2 if bf16 else 4
    dense, local = counts.total - experts, experts // ep_size
    shards_dense, shards_expert = (world, world // ep_size) if zero_stage else (1, 1)
    sharded = dense // shards_dense + local // shards_expert
    forward = work.products + work.transforms
    return Cost(
        parameters=counts,
        expert_parameters=experts,
        flops_forward=forward,
        flops_step=_BACKWARD * forward,
        weight_bytes=size * (dense + local),
        gradient_bytes=size * (sharded if zero_stage == 2 else dense + local),
        optimiser_bytes=(_MASTERS if zero_stage else 8) * sharded,
        activation_bytes=size * micro_batch * work.kept,
    )
