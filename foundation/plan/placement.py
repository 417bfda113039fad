"""Which ranks share a node: a cluster and a layout in, three kinds of groups out.

All ranks reduce the gradients of what everyone holds. The ranks of an expert-parallel group
exchange samples. Those that hold the same experts reduce these experts' gradients. DeepSpeed
numbers an expert-parallel group consecutively: it lies within a node if ranks are numbered node by
node, and on as many nodes as there are if they are dealt out in turn (`srun
--distribution=cyclic`); then copies of an expert share a node instead.
"""

from dataclasses import dataclass
from typing import Literal

from data_shards.errors import UserError
from foundation.plan.cluster import Cluster

Where = Literal["inside", "across"]


@dataclass(frozen=True)
class RankGroup:
    """Ranks that talk to each other.

    Attributes:
        ranks: how many.
        per_node: of them on every node that has any.
    """

    ranks: int
    per_node: int

    @property
    def nodes(self) -> int:
        return self.ranks // self.per_node


@dataclass(frozen=True)
class Placement:
    """The groups that one rank belongs to."""

    everyone: RankGroup
    exchanging: RankGroup
    copies: RankGroup


def placed(cluster: Cluster, world: int, ep_size: int, where: Where = "inside") -> Placement:
    """Lay a run's groups on nodes.

    Args:
        cluster: the nodes.
        world: ranks, one per GPU.
        ep_size: ranks that share one set of experts; divides `world`.
        where: expert-parallel groups inside a node as far as they fit, or across nodes as far as
            there are nodes.

    Raises:
        UserError: ranks that do not fill nodes, a group cut by the end of a node, or several nodes
            of a cluster whose network is not known.
    """
    per_node = min(world, cluster.gpus_per_node)
    if world % per_node:
        whole = world // per_node * per_node
        raise UserError(
            f"{world} ranks do not fill nodes of {per_node} GPUs; take {whole} or "
            f"{whole + per_node}, or another cluster.gpus_per_node"
        )
    nodes = world // per_node
    if nodes > 1 and cluster.between is None:
        raise UserError(
            f"{world} ranks need {nodes} nodes, but the cluster says nothing of a link between "
            f"nodes; set cluster.between.alpha_s and cluster.between.beta_s_per_byte, or take at "
            f"most {per_node} ranks"
        )
    together = min(ep_size, per_node) if where == "inside" else max(ep_size // nodes, 1)
    if ep_size % together or per_node % together or (nodes * together) % ep_size:
        raise UserError(
            f"ep_size={ep_size} does not lie evenly on {nodes} nodes of {per_node} GPUs; "
            "take one that divides the GPUs of a node, or a multiple of them"
        )
    return Placement(
        everyone=RankGroup(world, per_node),
        exchanging=RankGroup(ep_size, together),
        copies=RankGroup(world // ep_size, per_node // together),
    )
