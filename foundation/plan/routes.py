"""How uneven routes load ranks: a mixture and a layout in, ratios of the busiest rank out.

Axes: G expert-parallel groups, S samples of a group, E routed experts, K of them chosen,
R ranks of a group.
A simulation, seeded: samples draw K different experts, all alike or with a preference. The ranks
of a group wait for each other in every block; groups wait for each other at the end of a step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 2**17  # samples drawn in all, about: some hundredths of a second
_MOST_DRAWS = 32
_MOST_LAYERS = 256


@dataclass(frozen=True)
class Unevenness:
    """Of the rank that all others wait for; means over simulated steps.

    Attributes:
        computed: its pairs of sample and expert over the mean of all ranks, at least 1.
        received: samples that come to it from other ranks over the mean, at least 1.
        visited: ranks other than its own that a sample goes to, mean of all samples.
    """

    computed: float
    received: float
    visited: float


def simulate_routes(
    num_experts: int,
    top_k: int,
    ep_size: int,
    groups: int,
    layers: int,
    micro_batch: int,
    skew: float = 0.0,
    seed: int = 0,
) -> Unevenness:
    """Draw routes and weigh the ranks.

    Args:
        num_experts: E.
        top_k: K.
        ep_size: R, ranks that share one set of experts.
        groups: G, expert-parallel groups.
        layers: blocks times forwards of a step.
        micro_batch: samples per rank and forward.
        skew: exponent s of a preference: of the experts, in an order of each block's own, the
            n-th is drawn in proportion to n ** -s; 0 is none.
        seed: of the simulation.
    """
    if ep_size == 1:
        return Unevenness(1.0, 1.0, 0.0)
    generator = torch.Generator().manual_seed(seed)
    # Means over more layers or samples hardly move, nor does the maximum over more groups.
    layers = min(layers, _MOST_LAYERS)
    micro_batch = min(micro_batch, max(1, _ROWS // (ep_size * layers)))
    samples = ep_size * micro_batch
    groups = min(groups, max(1, _ROWS // (samples * layers)))
    draws = max(1, min(_MOST_DRAWS, _ROWS // (groups * samples * layers)))
    worst_computed = worst_received = visited = 0.0
    for _ in range(draws):
        computed_G, received_G = torch.zeros(groups), torch.zeros(groups)
        for _ in range(layers):
            chosen_GSE = _routes(num_experts, top_k, (groups, samples), skew, generator)
            pairs_GSR = chosen_GSE.view(groups, samples, ep_size, -1).sum(-1)
            computed_G += pairs_GSR.sum(1).amax(-1)
            own_SR = torch.eye(ep_size, dtype=torch.bool).repeat_interleave(micro_batch, 0)
            coming_GR = ((pairs_GSR > 0) & ~own_SR).sum(1)
            received_G += coming_GR.amax(-1)
            visited += float(coming_GR.sum()) / (groups * samples)
        worst_computed += float(computed_G.max())
        worst_received += float(received_G.max())
    visited /= draws * layers
    return Unevenness(
        computed=worst_computed / (draws * layers * micro_batch * top_k),
        received=worst_received / (draws * layers * micro_batch * visited) if visited else 1.0,
        visited=visited,
    )


def _routes(
    num_experts: int, top_k: int, shape: tuple[int, int], skew: float, generator: torch.Generator
) -> Tensor:
    """Which experts are chosen (G, S, E): the largest of Gumbel noise over log preferences."""
    order_E = torch.randperm(num_experts, generator=generator)
    preference_E = -skew * torch.log1p(order_E.to(torch.float32))
    noise_GSE = torch.empty(*shape, num_experts).exponential_(generator=generator)
    keys_GSE = preference_E - noise_GSE.log()
    chosen = torch.zeros(keys_GSE.shape, dtype=torch.bool)
    return chosen.scatter(-1, keys_GSE.topk(top_k, dim=-1).indices, True)
