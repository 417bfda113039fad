"""All ways to lay a model on so many GPUs: worlds in, forecasts out, the best one of each world."""

from collections.abc import Sequence
from dataclasses import replace
from math import gcd

from data_shards.errors import UserError
from foundation.models.registry import ModelConfig
from foundation.plan.cluster import Cluster
from foundation.plan.forecast import StepForecast, forecast
from foundation.plan.placement import placed
from foundation.plan.step_time import Arrangement
from foundation.plan.traffic import Spread


def fitting_ep_sizes(config: ModelConfig, world: int) -> list[int]:
    """Expert-parallel sizes that divide ranks and experts, or boxes; 1 where there are none."""
    most = gcd(config.num_routed, config.num_boxes) or 1
    return [n for n in range(1, most + 1) if most % n == 0 and world % n == 0]


def laid_out(
    config: ModelConfig,
    spread: Spread,
    ep_sizes: Sequence[int],
    cluster: Cluster,
    arrangement: Arrangement,
) -> list[StepForecast]:
    """A forecast per expert-parallel size, inside nodes and, where that differs, across them.

    Args:
        config: of the model.
        spread: the layout; its `ep_size` is replaced.
        ep_sizes: to be tried; those that do not lie evenly on the nodes are left out.
        cluster: the nodes.
        arrangement: all but `where`.

    Raises:
        UserError: none of the sizes lies evenly on the nodes.
    """
    found: list[StepForecast] = []
    fault: UserError | None = None
    for ep_size in ep_sizes:
        groups = []
        for where in ("inside", "across"):
            way = replace(arrangement, where=where)
            try:
                placement = placed(cluster, spread.world, ep_size, way.where)
            except UserError as error:
                fault = error
                continue
            if placement not in groups:
                groups.append(placement)
                found.append(forecast(config, replace(spread, ep_size=ep_size), cluster, way))
    if not found and fault:
        raise fault
    return found


def best(forecasts: Sequence[StepForecast]) -> StepForecast | None:
    """The fastest of those that fit the memory."""
    fitting = [found for found in forecasts if found.fits]
    return max(fitting, key=lambda found: found.samples_per_s, default=None)
