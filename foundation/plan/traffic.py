"""What a rank sends to others in one optimiser step: a configuration and a layout in, bytes out.

Axes: B samples of a rank and forward, N tokens, F features, D width, E routed experts.
Counted are payloads by the algorithms that send least: n ranks reduce in a ring, each
sending 2 (n - 1) / n of the whole, and gather with half of that; an exchange sends what is
meant for other ranks. Left out: scalars of losses, norms and logs, some kilobytes.

How many ranks a sample goes to is the data's and the router's business. Expected is
what routes without preference give: each set of K out of E experts alike. A router that
keeps a sample on one rank sends less, and one sample never goes to more than K ranks.
"""

from dataclasses import dataclass
from math import comb

from foundation.models.mixture import Mixture
from foundation.models.registry import ModelConfig, work_of

_FLOAT, _DOUBLE, _COUNT = 4, 8, 8  # bytes of a float32, a float64 and an int64


@dataclass(frozen=True)
class Spread:
    """How a run lies on ranks.

    Attributes:
        world: ranks.
        ep_size: ranks that share one set of experts.
        zero_stage: 0, 1 or 2; the last reduces gradients after every forward.
        bf16: whether weights, activations and gradients are bfloat16.
        micro_batch: samples per rank and forward.
        accumulation: forwards per optimiser step.
        recompute: whether blocks, and so their exchanges, run once more in the backward pass.
    """

    world: int
    ep_size: int
    zero_stage: int
    bf16: bool
    micro_batch: int
    accumulation: int = 1
    recompute: bool = False

    @property
    def size(self) -> int:
        """Bytes of a weight."""
        return 2 if self.bf16 else _FLOAT

    @property
    def copies(self) -> int:
        """Ranks that hold the same experts."""
        return self.world // self.ep_size


@dataclass(frozen=True)
class Traffic:
    """Bytes that one rank sends in one optimiser step.

    Attributes:
        exchange: samples to the ranks of their experts, or boxes of a constraint to theirs, and
            back, forward and backward; within an expert-parallel group.
        gradients: reduction of what every rank holds, over all ranks.
        expert_gradients: of the experts of a rank, over the ranks that hold the same ones.
        weights: what ZeRO gathers after the optimiser's step, over both kinds of group.
    """

    exchange: int
    gradients: int
    expert_gradients: int
    weights: int

    @property
    def total(self) -> int:
        return self.exchange + self.gradients + self.expert_gradients + self.weights


def traffic_of(config: ModelConfig, dense: int, local_experts: int, spread: Spread) -> Traffic:
    """Bytes that one rank sends in one optimiser step.

    Args:
        config: of the model.
        dense: parameters that every rank holds.
        local_experts: parameters of the routed experts of one rank.
        spread: over how many ranks, and how.
    """
    size, again = spread.size, spread.accumulation
    reductions = 2 * (again if spread.zero_stage == 2 else 1)
    all_ranks = _around(dense, spread.world)
    same_experts = _around(local_experts, spread.copies)
    exchange = 0
    if config.mixture is not None and spread.ep_size > 1:
        exchange = again * _exchange(config.mixture, spread)
    if config.num_boxes and spread.ep_size > 1:
        exchange += again * _exchange_of_boxes(config, spread)
    return Traffic(
        exchange=exchange,
        gradients=round(reductions * size * all_ranks),
        expert_gradients=round(reductions * size * same_experts),
        weights=round(size * (all_ranks + same_experts)) if spread.zero_stage else 0,
    )


def expected_ranks(mixture: Mixture, ep_size: int) -> float:
    """Ranks other than its own to which a sample goes, if routes have no preference."""
    return expected_owners(mixture, ep_size) * (ep_size - 1) / ep_size


def expected_owners(mixture: Mixture, ep_size: int) -> float:
    """Ranks, its own perhaps among them, that own some expert of a sample."""
    experts, chosen = mixture.router.num_experts, mixture.router.top_k
    none_here = comb(experts - experts // ep_size, chosen) / comb(experts, chosen)
    return ep_size * (1 - none_here)


def _around(numbers: int, ranks: int) -> float:
    """Of a whole, what one rank passes on when a ring of ranks gathers it."""
    return numbers * (ranks - 1) / ranks


def _exchange(mixture: Mixture, spread: Spread) -> int:
    """Of one forward and its backward, over all blocks."""
    weights = mixture.rows * mixture.router.num_experts // spread.ep_size
    numbers = mixture.tokens * (mixture.features + mixture.width)
    sample = spread.size * numbers + _FLOAT * weights
    one_way = spread.micro_batch * expected_ranks(mixture, spread.ep_size) * sample
    forwards = 2 if spread.recompute else 1
    counts = forwards * _COUNT * (spread.ep_size - 1)
    return round(mixture.blocks * ((forwards + 1) * one_way + counts))


def _exchange_of_boxes(config: ModelConfig, spread: Spread) -> int:
    """Of one forward and its backward: every rank owns as many boxes of each sample."""
    away = (spread.ep_size - 1) / spread.ep_size
    one_way = spread.micro_batch * away * _DOUBLE * work_of(config).boxed
    return round(2 * one_way + _COUNT * (spread.ep_size - 1))
