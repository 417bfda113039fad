"""Descriptions of clusters: shipped ones hold together, faults are told in one line."""

import pytest

from data_shards.errors import UserError
from foundation.plan.cluster import Cluster, Link, cluster_names, cluster_values

VALUES = cluster_values("h100")


@pytest.mark.parametrize("name", cluster_names())
def test_a_shipped_cluster_says_where_its_figures_are_from_and_is_faster_inside(name):
    cluster = Cluster.read(cluster_values(name), name)
    assert "assumed" in cluster.source, "nothing shipped was measured"
    assert cluster.between is not None
    assert cluster.inside.alpha_s < cluster.between.alpha_s
    assert cluster.inside.beta_s_per_byte < cluster.between.beta_s_per_byte
    assert cluster.flops_per_s(bf16=False) < cluster.flops_per_s(bf16=True)
    assert cluster.flops_per_s(bf16=True) < cluster.peak_bf16_flops


def test_a_link_costs_alpha_per_message_and_beta_per_byte():
    link = Link(alpha_s=2.0, beta_s_per_byte=0.5)
    assert link.seconds(0, 0) == 0
    assert link.seconds(3, 0) == 6
    assert link.seconds(3, 10) == 11


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("h10", "unknown cluster 'h10'; did you mean"),
        ("nowhere.yaml", "nowhere.yaml: no such file"),
    ],
)
def test_a_cluster_that_is_not_there_is_told(name, message):
    with pytest.raises(UserError, match=message):
        cluster_values(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gpus_a_node": 8}, "did you mean"),
        ({"attained_share": 1.5}, "attained_share"),
        ({"inside": {"alpha_s": -1, "beta_s_per_byte": 0}}, "inside.alpha_s"),
        ({"source": ""}, "source"),
    ],
)
def test_a_wrong_value_is_told_by_its_key(change, message):
    with pytest.raises(UserError, match=message):
        Cluster.read(VALUES | change, "cluster mine")


def test_a_file_has_the_keys_of_the_shipped_ones(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("source: mine\ngpus_per_node: 4\n")
    assert cluster_values(str(path)) == {"source": "mine", "gpus_per_node": 4}
    path.write_text("- 1\n")
    with pytest.raises(UserError, match="holds list, wanted keys"):
        cluster_values(str(path))
