"""Links as the bench measures them: what a record holds, and that it tells what ranks then take."""

import json
import os

import pytest
import yaml
from group import on_ranks

from foundation.plan.cluster import Cluster
from foundation.plan.collective import circulated
from foundation.plan.placement import RankGroup
from launchers.benchmarks.links import Measurement, measure_links
from launchers.benchmarks.options import build_parser
from launchers.cli import main

pytestmark = pytest.mark.dist

LITTLE = Measurement(sizes=(2**12, 2**16), rounds=1, preset="debug", batches=(1, 4))


def on_nodes_of_two(what: Measurement):
    """What a rank of a launcher's gets, were there nodes of two."""
    os.environ["LOCAL_WORLD_SIZE"] = "2"
    return measure_links(1, what)


@pytest.mark.slow
def test_a_launched_group_is_measured_within_nodes_and_between_them(tmp_path, capsys):
    first, *others = on_ranks(4, on_nodes_of_two, LITTLE)
    assert others == [None] * 3
    points = {(p["link"], p["kind"], p["buffer_bytes"]): p for p in first["points"]}
    assert len(points) == len(first["points"]) == 2 * 2 * 2
    assert {p["ranks"] for p in first["points"]} == {2}
    for (_, kind, size), point in points.items():
        passes = {"all_to_all": 1, "all_reduce": 2}[kind]
        assert (point["messages"], point["sent_bytes"]) == (passes, passes * size // 2)
        assert point["seconds"] > 0
    names = {fit["of"] for fit in first["fits"]}
    assert names >= {"link inside", "link between", "step of debug", "between all_to_all"}

    cluster = Cluster.read(first["cluster"], "measured")
    assert cluster.gpus_per_node == 2
    assert cluster.between is not None
    assert "measured on" in cluster.source
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(first["cluster"]))
    assert main(["plan", "debug", "--world", "4", "--ep", "2", "--cluster", str(path)]) == 0
    said = capsys.readouterr().out
    assert "4 GPUs on 2 nodes" in said
    assert f"from {cluster.source}" in said


@pytest.mark.slow
def test_one_node_says_nothing_of_a_network():
    first, _ = on_ranks(2, measure_links, 1, LITTLE)
    assert first["cluster"]["between"] is None
    assert {p["link"] for p in first["points"]} == {"inside"}


@pytest.mark.slow
def test_the_bench_starts_ranks_and_its_file_tells_what_other_sizes_take(tmp_path):
    files = tmp_path / "links.json", tmp_path / "mine.yaml"
    words = ["links", "--preset", "debug", "--batches", "1,8", "--rounds", "5"]
    words += ["--output", str(files[0]), "--cluster", str(files[1])]
    options = build_parser().parse_args(words)
    options.run(options)
    fits = json.loads(files[0].read_text())["fits"]
    assert all(fit["residual"] < 1 for fit in fits)
    cluster = Cluster.read(yaml.safe_load(files[1].read_text()), "mine")
    sizes = 3 * 2**15, 3 * 2**20  # between those that were fitted
    again = on_ranks(2, measure_links, 1, Measurement(sizes, 5, "debug", (1, 8)))[0]
    for point in again["points"]:
        passes = point["messages"]
        told = circulated(cluster, RankGroup(2, 2), point["sent_bytes"], passes, 1).seconds(cluster)
        # Machines are shared: a factor of 4 either way, where sizes differ by one of 32.
        assert told / 4 < point["seconds"] < 4 * told
