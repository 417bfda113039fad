"""Seconds of one optimiser step on a cluster, part by part: counts and links in, seconds out.

What is counted elsewhere is only priced here: FLOPs by `work`, bytes by `traffic`. Parts follow
each other unless `Arrangement` lets them overlap, and then what is longer shows. Left out:
reading data, logs, checkpoints and validation; compute shared with a running collective.
"""

from dataclasses import dataclass, fields
from math import ceil

from foundation.models.mixture import Mixture
from foundation.models.registry import ModelConfig, work_of
from foundation.plan.cluster import Cluster
from foundation.plan.collective import Load, circulated, exchanged, sent_flat
from foundation.plan.cost import REDUCE_BUCKET, Cost
from foundation.plan.mixture_work import expert_work_of
from foundation.plan.placement import Placement, Where, placed
from foundation.plan.routes import Unevenness, simulate_routes
from foundation.plan.traffic import Spread

# Calls of all-to-all per block, as `parallel.expert_parallel` makes them: counts, samples, routes
# and results forward; samples, routes and results backward.
EXCHANGES_FORWARD, EXCHANGES_BACKWARD = 4, 3
# Of a constraint, as `parallel.box_parallel` makes them: counts, boxes and answers forward; answers
# and boxes backward. Peaks in float64 are taken to be those in float32, as on these clusters.
EXCHANGES_OF_BOXES = 5


@dataclass(frozen=True)
class Arrangement:
    """What a layout leaves open.

    Attributes:
        where: expert-parallel groups inside nodes or across them.
        hierarchical: whether samples travel once to a node and on from there.
        overlap_exchange: whether the shared experts are computed while samples travel.
        overlap_gradients: whether full buckets are reduced while the backward pass goes on.
        skew: of the routes; see `simulate_routes`.
    """

    where: Where = "inside"
    hierarchical: bool = False
    overlap_exchange: bool = False
    overlap_gradients: bool = False
    skew: float = 0.0


@dataclass(frozen=True)
class StepTime:
    """Seconds that a step takes; of what overlaps, the part that shows.

    Attributes:
        compute: forward and backward, what is recomputed too, at the attained rate.
        launches: what every block and every step costs whatever the batch.
        waiting: for the rank to which most samples are routed.
        exchange: samples to their experts and back.
        gradients: reduction, of experts' too.
        weights: gathered by ZeRO after the step.
        optimiser: what the engine passes over, its copies of gradients and weights included.
    """

    compute: float
    launches: float
    waiting: float
    exchange: float
    gradients: float
    weights: float
    optimiser: float

    @property
    def total(self) -> float:
        return sum(self.parts().values())

    def parts(self) -> dict[str, float]:
        """Seconds by name, in the order of a step."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Hidden:
    """Seconds of communication that other work covers."""

    exchange: float = 0.0
    gradients: float = 0.0


def step_time(
    config: ModelConfig, cost: Cost, spread: Spread, cluster: Cluster, arrangement: Arrangement
) -> tuple[StepTime, Hidden]:
    """Price one optimiser step.

    Args:
        config: of the model.
        cost: of the model under this layout.
        spread: the layout.
        cluster: what the layout lies on.
        arrangement: how.

    Raises:
        UserError: the layout does not lie evenly on the nodes.
    """
    step = _Step(config, cost, spread, cluster, arrangement)
    exchange, gradients = step.exchange.seconds(cluster), step.gradients
    hidden = Hidden(min(exchange, step.beside_exchange), min(gradients, step.beside_gradients))
    time = StepTime(
        compute=step.compute,
        launches=cluster.launch_s_per_step
        + spread.accumulation * work_of(config).depth * cluster.launch_s_per_block,
        waiting=step.waiting,
        exchange=exchange - hidden.exchange,
        gradients=gradients - hidden.gradients,
        weights=step.weights,
        optimiser=cost.passed_bytes / cluster.memory_bytes_per_s,
    )
    return time, hidden


@dataclass(frozen=True)
class _Step:
    config: ModelConfig
    cost: Cost
    spread: Spread
    cluster: Cluster
    arrangement: Arrangement

    @property
    def _samples(self) -> int:
        """Of one rank."""
        return self.spread.micro_batch * self.spread.accumulation

    @property
    def _forwards(self) -> int:
        return 2 if self.spread.recompute else 1

    @property
    def _placement(self) -> Placement:
        spread = self.spread
        return placed(self.cluster, spread.world, spread.ep_size, self.arrangement.where)

    def _computed(self, flops_per_sample: float) -> float:
        return self._samples * flops_per_sample / self.cluster.flops_per_s(self.spread.bf16)

    @property
    def compute(self) -> float:
        solved = self._samples * self.cost.flops_solved / self.cluster.flops_per_s(bf16=False)
        return self._computed(self.cost.flops_step - self.cost.flops_solved) + solved

    def _experts(self, count: int) -> float:
        """Seconds of `count` experts per block and sample, forward and twice that backward."""
        if self.config.mixture is None:
            return 0.0
        return self._computed((self._forwards + 2) * count * expert_work_of(self.config))

    @property
    def exchange(self) -> Load:
        mixture = self.config.mixture
        if mixture is None:
            calls = EXCHANGES_OF_BOXES * self.spread.accumulation * (self.config.num_boxes > 0)
            return sent_flat(self._placement.exchanging, self.cost.traffic.exchange, calls)
        calls = self._forwards * EXCHANGES_FORWARD + EXCHANGES_BACKWARD
        return exchanged(
            mixture,
            self._placement.exchanging,
            self.cost.traffic.exchange,
            calls * mixture.blocks * self.spread.accumulation,
            self.arrangement.hierarchical,
        )

    @property
    def waiting(self) -> float:
        mixture = self.config.mixture
        if mixture is None or self.spread.ep_size == 1:
            return 0.0
        uneven = self._routes(mixture)
        load = self.exchange
        sent = Load(0, 0, load.inside, load.between).seconds(self.cluster)
        routed = self._experts(mixture.router.top_k)
        return (uneven.computed - 1) * routed + (uneven.received - 1) * sent

    def _routes(self, mixture: Mixture) -> Unevenness:
        spread = self.spread
        return simulate_routes(
            mixture.router.num_experts,
            mixture.router.top_k,
            spread.ep_size,
            spread.copies,
            mixture.blocks * spread.accumulation,
            spread.micro_batch * mixture.rows,
            self.arrangement.skew,
        )

    @property
    def beside_exchange(self) -> float:
        """What samples may travel beside: the shared experts."""
        mixture = self.config.mixture
        if not self.arrangement.overlap_exchange or mixture is None:
            return 0.0
        return self._experts(mixture.num_shared)

    @property
    def _numbers(self) -> tuple[int, int]:
        """Parameters that all ranks hold, and those of a rank's experts."""
        local = self.cost.expert_parameters // self.spread.ep_size
        return self.cost.rank_parameters - local, local

    def _buckets(self, numbers: int) -> int:
        return ceil(numbers / REDUCE_BUCKET) if self.spread.zero_stage else 1

    def _around(self, sent: tuple[float, float], passes: int, times: int) -> float:
        """Seconds of both kinds of groups, one after the other."""
        groups = (self._placement.everyone, self._placement.copies)
        loads = [
            circulated(self.cluster, group, size, passes, times * self._buckets(numbers))
            for group, size, numbers in zip(groups, sent, self._numbers, strict=True)
            if numbers
        ]
        return sum(load.seconds(self.cluster) for load in loads)

    @property
    def _reductions(self) -> int:
        return self.spread.accumulation if self.spread.zero_stage == 2 else 1

    @property
    def gradients(self) -> float:
        traffic = self.cost.traffic
        return self._around((traffic.gradients, traffic.expert_gradients), 2, self._reductions)

    @property
    def beside_gradients(self) -> float:
        """What reductions may run beside: the backward passes that end in one, but for the time
        until the first bucket is full."""
        if not self.arrangement.overlap_gradients:
            return 0.0
        buckets = sum(self._buckets(numbers) for numbers in self._numbers if numbers)
        forward = self._computed(self.cost.flops_forward)
        share = self._reductions / self.spread.accumulation * (1 - 1 / buckets)
        return share * (self.compute - forward)

    @property
    def weights(self) -> float:
        """Gathered in the proportion in which gradients were reduced."""
        traffic = self.cost.traffic
        reduced = traffic.gradients + traffic.expert_gradients
        if not traffic.weights or not reduced:
            return 0.0
        dense = traffic.weights * traffic.gradients / reduced
        return self._around((dense, traffic.weights - dense), 1, 1)
