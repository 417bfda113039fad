"""Seconds of collectives by the alpha-beta model: a group and bytes in, seconds out.

Bytes are those that one rank sends, as `traffic` counts them. Reductions and gathers go in two
levels, around the ranks of a node and between nodes; that sends as much as one ring of n ranks on
m nodes would, of which (m - 1) / (n - 1) leaves the node, split over the ports of its GPUs.
Source: Thakur, Rabenseifner and Gropp, IJHPCA 19 (2005) 49; for the logarithmic number of
rounds at full bandwidth Sanders, Speck and Träff, Parallel Computing 35 (2009) 581 (NCCL's trees).

An exchange is flat, every rank sending to every other, or hierarchical: a sample goes once to
each node that has one of its experts and is handed on there; what comes back is summed
on the node before it leaves. Messages of a call follow each other, inside and between nodes too:
a library that lets them overlap is faster.
"""

from dataclasses import dataclass
from math import ceil, log2

from foundation.models.mixture import Mixture
from foundation.plan.cluster import Cluster
from foundation.plan.placement import RankGroup
from foundation.plan.traffic import expected_ranks


@dataclass(frozen=True)
class Load:
    """What one rank sends.

    Attributes:
        messages_inside, messages_between: that follow each other, within a node and out of it.
        inside, between: their bytes.
    """

    messages_inside: float
    messages_between: float
    inside: float
    between: float

    def seconds(self, cluster: Cluster) -> float:
        """Both kinds after each other."""
        within = cluster.inside.seconds(self.messages_inside, self.inside)
        if cluster.between is None:
            assert self.messages_between == 0, "placements on several nodes need their link"
            return within
        return within + cluster.between.seconds(self.messages_between, self.between)


def circulated(cluster: Cluster, group: RankGroup, sent: float, passes: int, calls: int) -> Load:
    """Load of a gather (one pass) or of a reduction (two) over a group.

    Args:
        cluster: says how many rounds are made between nodes.
        group: its ranks.
        sent: bytes that a rank sends in all.
        passes: 1 or 2.
        calls: collectives that the bytes are cut into.
    """
    if group.ranks == 1:
        return Load(0, 0, 0, 0)
    rounds = group.nodes - 1 if cluster.rounds == "ring" else ceil(log2(group.nodes))
    between = sent * (group.nodes - 1) / (group.ranks - 1)
    each = passes * calls
    return Load(each * (group.per_node - 1), each * rounds, sent - between, between)


def sent_flat(group: RankGroup, sent: float, calls: int) -> Load:
    """Load of exchanges in which every rank sends to every other, to all alike."""
    if group.ranks == 1:
        return Load(0, 0, 0, 0)
    others, neighbours = group.ranks - 1, group.per_node - 1
    far = others - neighbours
    between = sent * far / others
    return Load(calls * neighbours, calls * far, sent - between, between)


def exchanged(
    mixture: Mixture, group: RankGroup, sent: float, calls: int, hierarchical: bool
) -> Load:
    """Load of exchanges of samples within an expert-parallel group.

    Args:
        mixture: for how far samples travel.
        group: its ranks.
        sent: bytes that a rank sends in all, when it sends to every rank by itself.
        calls: exchanges that the bytes are cut into.
        hierarchical: once to a node and on from there, instead of rank to rank.
    """
    if not hierarchical or group.ranks == 1:
        return sent_flat(group, sent, calls)
    others, neighbours = group.ranks - 1, group.per_node - 1
    ranks, nodes = (expected_ranks(mixture, n) for n in (group.ranks, group.nodes))
    return Load(
        messages_inside=calls * neighbours,
        messages_between=calls * (group.nodes - 1),
        # Every node hands on what it got, as it hands on its own.
        inside=sent * group.nodes * neighbours / others,
        between=sent * nodes / ranks,
    )
