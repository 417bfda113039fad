"""What a model costs before it is built: a configuration and a layout in, counts and bytes out.

Memory is that of tensors. What a rank holds most at once is the largest of three moments,
each beside weights, optimiser and batch, which stay: activations and the bucket that gradients are
reduced in, when the backward pass begins; gradients, bucket and the copy of it that
travels, when they are reduced; gradients and their copies in float32, when the optimiser steps.
Source: DeepSpeed 0.19, ZeRO 0 to 2, and torch's AdamW, as read and as measured.

A process on CPUs takes more than its tensors: libraries, and what the C library does not
give back. That part is no law but a line through runs of `evaluation/studies`.
"""

from dataclasses import dataclass
from functools import cache
from math import prod

from foundation.models.registry import ModelConfig, outline_model, work_of
from foundation.models.types import ParameterCounts
from foundation.models.work import Work, flops_of
from foundation.moe.experts import ExpertBank
from foundation.plan.mixture_work import dense_work_of
from foundation.plan.traffic import Spread, Traffic, expected_owners, traffic_of

REDUCE_BUCKET = 20_000_000  # numbers: `reduce_bucket_size` of ds_configs/*.json

_BACKWARD = 2  # of a forward pass: one product for the inputs, one for the weights
_MASTERS = 12  # bytes per parameter: float32 master and two Adam moments
# Of a process on CPUs that keeps freed memory, measured on two ranks that share experts.
_LIBRARIES, _FREED = round(0.70 * 2**30), 0.6
_STEP = 8  # bytes per parameter: float32 gradient, and its norm or scale; AdamW takes none
_ADAMW = 32  # bytes per parameter: reads gradient, master and moments, and writes them


@dataclass(frozen=True)
class Cost:
    """Of one model under one layout of ranks.

    Attributes:
        parameters: total and activated.
        expert_parameters: of all routed experts; 0 in a dense network.
        rank_parameters: that one rank holds.
        flops_forward: per sample, the chosen experts computed.
        flops_dense: per sample, as if all experts were computed.
        flops_step: per sample, forward and backward, with what is recomputed.
        flops_solved: of them, a constraint's least squares in float64, in the most steps allowed.
        weight_bytes, gradient_bytes, optimiser_bytes: per rank.
        activation_bytes: per rank at the given micro-batch.
        bucket_bytes: buffer of ZeRO's gradient reduction.
        peak_bytes: most that a rank's tensors take at once; not the sum of the parts.
        passed_bytes: memory that the engine reads and writes for one step of the optimiser.
        traffic: bytes that a rank sends in one optimiser step.
    """

    parameters: ParameterCounts
    expert_parameters: int
    rank_parameters: int
    flops_forward: int
    flops_dense: int
    flops_step: int
    flops_solved: int
    weight_bytes: int
    gradient_bytes: int
    optimiser_bytes: int
    activation_bytes: int
    bucket_bytes: int
    peak_bytes: int
    passed_bytes: int
    traffic: Traffic

    @property
    def process_bytes(self) -> int:
        """Resident memory of a rank that trains on CPUs and keeps what it frees, an estimate."""
        return round(_LIBRARIES + (1 + _FREED) * self.peak_bytes)


def cost_of(
    config: ModelConfig,
    world: int,
    ep_size: int,
    zero_stage: int,
    bf16: bool,
    micro_batch: int,
    accumulation: int = 1,
    recompute: bool = False,
) -> Cost:
    """Count parameters, arithmetic, memory and traffic.

    Args:
        config: of the model.
        world: ranks.
        ep_size: ranks that share one set of experts; 1 for a dense network.
        zero_stage: 0, 1 or 2.
        bf16: whether weights and activations are bfloat16.
        micro_batch: samples per rank and forward.
        accumulation: forwards per optimiser step.
        recompute: whether blocks run once more in the backward pass instead of being kept.
    """
    spread = Spread(world, ep_size, zero_stage, bf16, micro_batch, accumulation, recompute)
    return cost_on(config, spread)


def cost_on(config: ModelConfig, spread: Spread) -> Cost:
    """As `cost_of`, of a layout that is there already."""
    work, (counts, experts, frozen) = work_of(config), _parameters(config)
    ep_size, recompute = spread.ep_size, spread.recompute
    given, asked = config.context_frames * config.channels, config.out_frames * config.num_asked
    sample = (given + asked) * prod(config.grid)
    arriving = _arriving(config, ep_size, recompute)
    dense = counts.total - experts - frozen
    memory = _Memory(dense, experts // ep_size, frozen, sample, work, arriving, spread)
    forward, whole = flops_of(work), flops_of(dense_work_of(config))
    step = (1 + _BACKWARD) * work.products - work.fixed_products + 2 * work.transforms
    step += work.taught_products - _BACKWARD * work.frozen_products
    if recompute:
        step += work.block_products + work.transforms
    solved = work.solved + work.solved_back
    return Cost(
        parameters=counts,
        expert_parameters=experts,
        rank_parameters=memory.held,
        flops_forward=forward,
        flops_dense=whole,
        flops_step=step + solved,
        flops_solved=solved,
        weight_bytes=memory.weights,
        gradient_bytes=memory.gradients,
        optimiser_bytes=memory.optimiser,
        activation_bytes=memory.activations,
        bucket_bytes=memory.bucket,
        peak_bytes=memory.peak,
        passed_bytes=memory.passed,
        traffic=traffic_of(config, memory.dense, memory.local, spread),
    )


def _arriving(config: ModelConfig, ep_size: int, recompute: bool) -> int:
    """Numbers kept of the samples that come to a rank's experts, per sample of a rank."""
    mixture = config.mixture
    if mixture is None or ep_size == 1:
        return 0
    blocks = 1 if recompute else mixture.blocks
    return round(blocks * expected_owners(mixture, ep_size) * mixture.tokens * mixture.features)


@cache
def _parameters(config: ModelConfig) -> tuple[ParameterCounts, int, int]:
    """All and activated, those of routed experts, and those that nothing moves; plans of many
    layouts ask again."""
    model = outline_model(config)
    banks = (m for m in model.modules() if isinstance(m, ExpertBank))
    experts = sum(p.numel() for bank in banks for p in bank.parameters())
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    return model.parameter_counts(), experts, frozen


@dataclass(frozen=True)
class _Memory:
    """Bytes of one rank: parameters that all learn and those of its experts in, parts out."""

    dense: int
    local: int
    frozen: int  # held beside them: no gradient, no place in the optimiser
    sample: int  # numbers of a sample's frames
    work: Work
    arriving: int  # numbers kept of what others sent, per sample
    spread: Spread

    @property
    def learnt(self) -> int:
        return self.dense + self.local

    @property
    def held(self) -> int:
        return self.learnt + self.frozen

    @property
    def weights(self) -> int:
        return self.spread.size * self.held

    @property
    def gradients(self) -> int:
        """At their most; ZeRO 2 keeps those of a rank's own part."""
        parted = self.spread.zero_stage == 2
        return self.spread.size * (sum(self._shards) if parted else self.learnt)

    @property
    def optimiser(self) -> int:
        return (_MASTERS if self.spread.zero_stage else 8) * sum(self._shards)

    @property
    def activations(self) -> int:
        work, spread = self.work, self.spread
        sample = work.between + work.largest_block if spread.recompute else work.kept
        sample += self.arriving
        return spread.size * (spread.micro_batch * sample + work.shared)

    @property
    def bucket(self) -> int:
        return self.spread.size * REDUCE_BUCKET if self.spread.zero_stage else 0

    @property
    def peak(self) -> int:
        moments = self._moments if self.spread.zero_stage else self._moments_unsharded
        return self.weights + self.optimiser + self._batch + max(moments)

    @property
    def passed(self) -> int:
        """Gradients into the bucket, divided, and back; those of the own part out of it, joined,
        their norm; in bfloat16 cast; AdamW; weights cast back."""
        size, own = self.spread.size, sum(self._shards)
        reduced = 6 * size * self.learnt
        if not self.spread.zero_stage:
            return _ADAMW * own + (reduced if self.spread.world > 1 else 0)
        stepped = 4 * size + size + _ADAMW + (4 + size)
        if self.spread.bf16:
            stepped += size + 4
        return reduced + stepped * own

    @property
    def _batch(self) -> int:
        """Context and frames that follow, as read and with noise, in float32."""
        return 4 * 2 * self.spread.micro_batch * self.sample

    @property
    def _backward(self) -> int:
        """Activations and what its first maps need for a moment, before a block is recomputed."""
        passing = self.work.passing
        if self.spread.recompute:
            passing = max(passing - self.work.largest_block, 0)
        return self.activations + self.spread.size * self.spread.micro_batch * passing

    @property
    def _shards(self) -> tuple[int, int]:
        """Parameters, of all ranks' and of experts, whose optimiser state lies here."""
        spread = self.spread
        if not spread.zero_stage:
            return self.dense, self.local
        return self.dense // spread.world, self.local // spread.copies

    @property
    def _moments(self) -> tuple[int, ...]:
        size, (dense, local) = self.spread.size, self._shards
        whole = self.learnt if self.spread.zero_stage == 1 else 0
        waiting = size * max(whole - REDUCE_BUCKET, 0)
        copied = size * max(min(REDUCE_BUCKET, self.learnt), dense + local)
        # Groups step one after the other; gradients of the last one are gone when it does.
        own = size * (dense + local)
        return (
            self._backward + self.bucket,
            waiting + self.bucket + copied,
            own + _STEP * dense if local else _STEP * dense,
            _STEP * local,
        )

    @property
    def _moments_unsharded(self) -> tuple[int, ...]:
        copied = self.spread.size * self.dense if self.spread.world > 1 else 0
        return self._backward, self.gradients + copied
