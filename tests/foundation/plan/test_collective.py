"""Laws of collectives by the alpha-beta model, and of where groups lie."""

import pytest

from data_shards.errors import UserError
from foundation.models.moe_pot import MoEPOTConfig
from foundation.plan.cluster import Cluster, cluster_values
from foundation.plan.collective import circulated, exchanged
from foundation.plan.placement import RankGroup, placed

H100 = Cluster.read(cluster_values("h100"), "h100")
RING = H100.model_copy(update={"rounds": "ring"})
MIXTURE = MoEPOTConfig(resolution=32, patch=8, width=32, blocks=2, heads=4)
GROUPS = [
    RankGroup(8, 8),
    RankGroup(16, 8),
    RankGroup(16, 4),
    RankGroup(16, 1),
    RankGroup(4, 2),
    RankGroup(2, 1),
]


def test_one_rank_sends_nothing():
    assert circulated(H100, RankGroup(1, 1), 100, 2, 3).seconds(H100) == 0
    assert exchanged(MIXTURE, RankGroup(1, 1), 100, 3, False).seconds(H100) == 0


@pytest.mark.parametrize("group", GROUPS)
def test_no_bytes_cost_the_messages_alone(group):
    load = circulated(RING, group, 0, 2, 3)
    rounds = 2 * 3 * (group.per_node - 1), 2 * 3 * (group.nodes - 1)
    seconds = rounds[0] * RING.inside.alpha_s + rounds[1] * RING.between.alpha_s
    assert load.seconds(RING) == pytest.approx(seconds)


def test_a_ring_on_one_node_is_the_textbooks():
    whole, ranks = 1e9, 8
    sent = 2 * (ranks - 1) / ranks * whole
    link = H100.inside
    assert circulated(H100, RankGroup(8, 8), sent, 2, 1).seconds(H100) == pytest.approx(
        2 * (ranks - 1) * link.alpha_s + sent * link.beta_s_per_byte
    )


@pytest.mark.parametrize("group", GROUPS)
def test_two_levels_send_together_what_one_ring_does_and_between_nodes_what_nodes_reduce(group):
    whole = 1e9
    sent = 2 * whole * (group.ranks - 1) / group.ranks
    load = circulated(RING, group, sent, 2, 1)
    assert load.inside + load.between == pytest.approx(sent)
    # Every GPU of a node reduces its own part of the whole with the same part of other nodes.
    part = whole / group.per_node
    assert load.between == pytest.approx(2 * part * (group.nodes - 1) / group.nodes)


def test_trees_make_no_more_rounds_than_rings_and_as_many_on_two_nodes():
    for nodes in (2, 4, 32, 128):
        tree, ring = (
            circulated(cluster, RankGroup(8 * nodes, 8), 1e6, 2, 1) for cluster in (H100, RING)
        )
        assert tree.between == ring.between
        assert (tree.messages_between == ring.messages_between) == (nodes == 2)
        assert tree.messages_between <= ring.messages_between


@pytest.mark.parametrize("group", GROUPS)
def test_samples_that_go_once_to_a_node_never_leave_it_more_often(group):
    flat, hierarchical = (exchanged(MIXTURE, group, 1e6, 1, way) for way in (False, True))
    assert hierarchical.between <= flat.between * (1 + 1e-12)
    assert hierarchical.messages_between <= flat.messages_between
    assert flat.inside + flat.between == pytest.approx(1e6)
    if 1 < group.per_node < group.ranks:
        assert hierarchical.between < flat.between


@pytest.mark.parametrize("group", [RankGroup(8, 8), RankGroup(2, 2), RankGroup(16, 1)])
def test_both_exchanges_are_one_where_there_is_one_level(group):
    flat, hierarchical = (exchanged(MIXTURE, group, 1e6, 7, way) for way in (False, True))
    assert hierarchical.messages_inside == flat.messages_inside
    assert hierarchical.messages_between == flat.messages_between
    assert hierarchical.inside == pytest.approx(flat.inside)
    assert hierarchical.between == pytest.approx(flat.between)


@pytest.mark.parametrize(
    ("world", "ep", "where", "exchanging", "copies"),
    [
        (64, 8, "inside", RankGroup(8, 8), RankGroup(8, 1)),
        (64, 4, "inside", RankGroup(4, 4), RankGroup(16, 2)),
        (64, 8, "across", RankGroup(8, 1), RankGroup(8, 8)),
        (64, 16, "inside", RankGroup(16, 8), RankGroup(4, 1)),
        (64, 16, "across", RankGroup(16, 2), RankGroup(4, 4)),
        (16, 4, "across", RankGroup(4, 2), RankGroup(4, 4)),
        (4, 2, "across", RankGroup(2, 2), RankGroup(2, 2)),
    ],
)
def test_groups_lie_on_nodes(world, ep, where, exchanging, copies):
    groups = placed(H100, world, ep, where)
    assert groups.everyone == RankGroup(world, min(world, 8))
    assert groups.exchanging == exchanging
    assert groups.copies == copies
    # A GPU's partners in both groups are different ones: together they make up its node.
    assert exchanging.per_node * copies.per_node == groups.everyone.per_node


@pytest.mark.parametrize(
    ("change", "world", "ep", "message"),
    [
        ({}, 12, 4, "12 ranks do not fill nodes of 8 GPUs; take 8 or 16"),
        ({"gpus_per_node": 6}, 24, 4, "ep_size=4 does not lie evenly on 4 nodes of 6"),
        ({"between": None}, 16, 4, "nothing of a link between nodes"),
    ],
)
def test_what_does_not_lie_on_nodes_is_refused(change, world, ep, message):
    with pytest.raises(UserError, match=message):
        placed(H100.model_copy(update=change), world, ep)
