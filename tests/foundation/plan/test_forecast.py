"""What a forecast says of a layout: its rate, what it is worth, and where more GPUs end."""

from dataclasses import replace

import pytest

from data_shards.errors import UserError
from foundation.plan.cluster import Cluster, Link, cluster_values
from foundation.plan.forecast import WORTHWHILE, first_break, forecast
from foundation.plan.layouts import best, fitting_ep_sizes, laid_out
from foundation.plan.step_time import Arrangement
from foundation.plan.traffic import Spread
from foundation.train.config import load_run_config

H100 = Cluster.read(cluster_values("h100"), "h100")
FREE = Link(alpha_s=0, beta_s_per_byte=0)
IDEAL = H100.model_copy(
    update={
        "inside": FREE,
        "between": FREE,
        "launch_s_per_block": 0.0,
        "launch_s_per_step": 0.0,
        "memory_bytes_per_s": 1e30,
    }
)
TINY = load_run_config("tiny_plus", []).model
DENSE = load_run_config("dpot_tiny", []).model
PLAIN = Arrangement()


def test_one_gpu_that_holds_its_batch_at_once_is_its_own_yardstick():
    found = forecast(TINY, Spread(1, 1, 1, True, 32), H100, PLAIN)
    assert found.efficiency == pytest.approx(1)
    assert found.samples_per_s == pytest.approx(32 / found.time.total)


def test_free_links_launches_and_memory_lose_nothing():
    found = forecast(DENSE, Spread(64, 1, 1, True, 4), IDEAL, PLAIN)
    assert found.efficiency == pytest.approx(1)
    assert found.bound == "compute"


def test_every_gpu_passes_over_all_gradients_and_steps_on_its_own_part():
    ways = [Spread(world, 1, 1, True, 4) for world in (1, 64)]
    alone, many = (forecast(DENSE, way, H100, PLAIN).cost for way in ways)
    numbers = alone.rank_parameters
    assert many.rank_parameters == numbers
    shared = 12 * numbers  # in bfloat16: into the bucket, divided, back
    assert alone.passed_bytes - shared == pytest.approx(64 * (many.passed_bytes - shared), rel=1e-4)


def test_a_gpu_without_memory_for_one_sample_is_no_yardstick():
    small = H100.model_copy(update={"memory_bytes": 100_000_000})
    found = forecast(TINY, Spread(64, 8, 1, True, 1), small, PLAIN)
    assert found.efficiency is None
    assert not found.fits
    assert best([found]) is None
    broken = first_break(found, TINY, small, grow=True)
    assert broken is not None
    assert (broken.world, broken.reason) == (64, "memory")


def test_a_batch_ends_doubling_where_it_leaves_a_rank_less_than_a_sample():
    found = forecast(TINY, Spread(8, 8, 1, True, 4), IDEAL, PLAIN)
    broken = first_break(found, TINY, IDEAL, grow=False)
    assert broken is not None
    assert (broken.world, broken.reason, broken.forecast) == (64, "batch", None)


def test_a_batch_that_grows_ends_nothing_where_links_are_free():
    found = forecast(DENSE, Spread(8, 1, 1, True, 4), IDEAL, PLAIN)
    assert first_break(found, DENSE, IDEAL, grow=True) is None


def test_doubling_ends_at_the_first_world_under_half():
    found = forecast(TINY, Spread(8, 8, 1, True, 256), H100, PLAIN)
    assert found.efficiency is not None
    assert found.efficiency > WORTHWHILE
    broken = first_break(found, TINY, H100, grow=False)
    assert broken is not None
    assert broken.forecast is not None
    assert broken.reason == "efficiency"
    ranks = broken.world
    before = forecast(TINY, Spread(ranks // 2, 8, 1, True, 4096 // ranks), H100, PLAIN)
    after = forecast(TINY, Spread(ranks, 8, 1, True, 2048 // ranks), H100, PLAIN)
    assert before.efficiency is not None
    assert after.efficiency is not None
    assert after.efficiency < WORTHWHILE <= before.efficiency
    assert broken.forecast == after
    assert broken.forecast.largest_loss == "launches"


def test_a_cluster_of_one_node_ends_with_it():
    node = IDEAL.model_copy(update={"between": None})
    found = forecast(DENSE, Spread(2, 1, 1, True, 64), node, PLAIN)
    assert first_break(found, DENSE, node, grow=False) is None


def test_layouts_are_every_size_inside_and_across_once():
    assert fitting_ep_sizes(TINY, 24) == [1, 2, 4, 8]
    assert fitting_ep_sizes(DENSE, 24) == [1]
    found = laid_out(TINY, Spread(64, 1, 1, True, 4), [1, 8, 16], H100, PLAIN)
    ways = [(f.spread.ep_size, f.arrangement.where) for f in found]
    # With whole sets of experts nothing is exchanged: one way only.
    across = [(8, "across"), (16, "across")]
    assert ways == [(1, "inside"), (8, "inside"), across[0], (16, "inside"), across[1]]
    on_one_node = laid_out(TINY, Spread(8, 1, 1, True, 4), [1, 8], H100, PLAIN)
    assert [f.arrangement.where for f in on_one_node] == ["inside", "inside"]


def test_the_best_is_the_fastest_that_fits():
    found = laid_out(TINY, Spread(64, 1, 1, True, 4), [1, 2, 8], H100, PLAIN)
    fastest = max(found, key=lambda f: f.samples_per_s)
    assert best(found) is fastest
    without = [replace(f, fits=f is not fastest) for f in found]
    second = best(without)
    assert second is not None
    assert second.samples_per_s < fastest.samples_per_s


def test_sizes_that_lie_on_no_node_are_left_out_unless_none_is_left():
    six = H100.model_copy(update={"gpus_per_node": 6})
    spread = Spread(48, 1, 1, True, 4)
    sizes = {f.spread.ep_size for f in laid_out(TINY, spread, [1, 2, 4], six, PLAIN)}
    assert sizes == {1, 2, 4}, "across nodes, four ranks need no place on one"
    with pytest.raises(UserError, match="does not lie evenly"):
        laid_out(TINY, Spread(6, 1, 1, True, 4), [4], six, PLAIN)
