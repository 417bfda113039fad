"""Whether a layout is worth its GPUs: a configuration on a cluster in, rates and limits out.

Efficiency compares with one GPU of the same cluster that takes the same global batch, in
micro-batches as large as its memory holds: the samples per second and GPU, over that GPU's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import isqrt
from typing import Literal

from data_shards.errors import UserError
from foundation.models.registry import ModelConfig
from foundation.plan.cluster import Cluster
from foundation.plan.cost import Cost, cost_on
from foundation.plan.step_time import Arrangement, Hidden, StepTime, step_time
from foundation.plan.traffic import Spread

WORTHWHILE = 0.5  # efficiency under which more GPUs are called broken
MOST_RANKS = 2**14  # to which doubling is followed


@dataclass(frozen=True)
class StepForecast:
    """Of one layout on one cluster; nothing in it is measured.

    Attributes:
        spread: the layout.
        arrangement: how it lies on the nodes.
        cost: its counts.
        time: seconds of a step by part.
        hidden: seconds of communication beside other work.
        alone_samples_per_s: of one GPU that takes the same global batch; None where its memory
            does not hold a single sample.
        fits: whether a rank's tensors fit a GPU's memory.
    """

    spread: Spread
    arrangement: Arrangement
    cost: Cost
    time: StepTime
    hidden: Hidden
    alone_samples_per_s: float | None
    fits: bool

    @property
    def global_batch(self) -> int:
        return self.spread.world * self.spread.micro_batch * self.spread.accumulation

    @property
    def samples_per_s(self) -> float:
        return self.global_batch / self.time.total

    @property
    def efficiency(self) -> float | None:
        if self.alone_samples_per_s is None:
            return None
        return self.samples_per_s / (self.spread.world * self.alone_samples_per_s)

    @property
    def bound(self) -> str:
        """The part of a step that takes longest."""
        parts = self.time.parts()
        return max(parts, key=lambda name: parts[name])

    @property
    def largest_loss(self) -> str:
        """The part besides compute that takes longest."""
        parts = self.time.parts()
        return max((name for name in parts if name != "compute"), key=lambda name: parts[name])


def forecast(
    config: ModelConfig, spread: Spread, cluster: Cluster, arrangement: Arrangement
) -> StepForecast:
    """Price a layout and the GPU that it is compared with.

    Raises:
        UserError: the layout does not lie evenly on the nodes.
    """
    cost = cost_on(config, spread)
    time, hidden = step_time(config, cost, spread, cluster, arrangement)
    batch = spread.world * spread.micro_batch * spread.accumulation
    return StepForecast(
        spread=spread,
        arrangement=arrangement,
        cost=cost,
        time=time,
        hidden=hidden,
        alone_samples_per_s=_alone(config, replace(spread, world=1, ep_size=1), batch, cluster),
        fits=cost.peak_bytes <= cluster.memory_bytes,
    )


@dataclass(frozen=True)
class Break:
    """Where doubling the GPUs ends.

    Attributes:
        world: ranks at which it does.
        reason: "memory", "efficiency", "batch" for fewer samples than ranks, or "nodes" for ranks
            that do not fill them.
        forecast: there; None where there is none, for the last two.
    """

    world: int
    reason: Literal["memory", "efficiency", "batch", "nodes"]
    forecast: StepForecast | None


def first_break(
    found: StepForecast, config: ModelConfig, cluster: Cluster, grow: bool
) -> Break | None:
    """What fails first as GPUs double, all else kept; None if nothing does.

    Args:
        found: the layout to start from.
        config: of the model.
        cluster: what it lies on; a single node ends nothing.
        grow: whether the global batch grows with the ranks, instead of being divided among them.
    """
    while True:
        if not found.fits:
            return Break(found.spread.world, "memory", found)
        if found.efficiency is not None and found.efficiency < WORTHWHILE:
            return Break(found.spread.world, "efficiency", found)
        spread = found.spread
        world = 2 * spread.world
        if world > MOST_RANKS or (cluster.between is None and world > cluster.gpus_per_node):
            return None
        if not grow and spread.micro_batch % 2:
            return Break(world, "batch", None)
        micro = spread.micro_batch if grow else spread.micro_batch // 2
        spread = replace(spread, world=world, micro_batch=micro)
        try:
            found = forecast(config, spread, cluster, found.arrangement)
        except UserError:
            return Break(world, "nodes", None)


@cache
def _alone(config: ModelConfig, spread: Spread, batch: int, cluster: Cluster) -> float | None:
    """Samples per second of one GPU that takes the whole batch."""
    for micro in _divisors_from_above(batch):
        one = replace(spread, micro_batch=micro, accumulation=batch // micro)
        cost = cost_on(config, one)
        if cost.peak_bytes <= cluster.memory_bytes:
            return batch / step_time(config, cost, one, cluster, Arrangement())[0].total
    return None


def _divisors_from_above(number: int) -> Iterator[int]:
    low = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return iter(sorted({*low, *(number // n for n in low)}, reverse=True))
