"""A step's seconds: parts that sum up, that vanish where they must, that follow their counts."""

from dataclasses import replace

import pytest

from foundation.models.moe_pot import MoEPOTConfig
from foundation.models.registry import work_of
from foundation.plan.cluster import Cluster, Link, cluster_values
from foundation.plan.cost import REDUCE_BUCKET, cost_on
from foundation.plan.mixture_work import expert_work_of
from foundation.plan.step_time import Arrangement, StepTime, step_time
from foundation.plan.traffic import Spread
from foundation.train.config import load_run_config

H100 = Cluster.read(cluster_values("h100"), "h100")
FREE = Link(alpha_s=0, beta_s_per_byte=0)
DENSE = load_run_config("dpot_tiny", []).model
TINY = load_run_config("tiny_plus", []).model
PLAIN = Arrangement()
LAYOUT = Spread(64, 8, 1, True, 16)


def timed(
    spread: Spread, cluster: Cluster = H100, way: Arrangement = PLAIN, config=TINY
) -> StepTime:
    return step_time(config, cost_on(config, spread), spread, cluster, way)[0]


@pytest.mark.parametrize("config", [TINY, DENSE, load_run_config("nano_unet", []).model])
def test_one_rank_talks_to_nobody_and_waits_for_nobody(config):
    time = timed(Spread(1, 1, 1, True, 4), config=config)
    assert (time.waiting, time.exchange, time.gradients, time.weights) == (0, 0, 0, 0)
    assert time.total == time.compute + time.launches + time.optimiser > 0


def test_launches_are_of_every_block_of_every_forward_and_once_of_the_engine():
    own = H100.model_copy(update={"launch_s_per_block": 0.01, "launch_s_per_step": 1.0})
    spread = Spread(1, 1, 1, True, 4, accumulation=3)
    assert timed(spread, own).launches == pytest.approx(1 + 3 * TINY.blocks * 0.01)


@pytest.mark.parametrize("way", [PLAIN, Arrangement("across", True, True, True, 0.5)])
def test_parts_sum_to_the_whole(way):
    time = timed(LAYOUT, way=way)
    assert time.total == pytest.approx(sum(time.parts().values()))
    assert list(time.parts()) == list(StepTime.__dataclass_fields__)


def test_free_links_leave_the_work_and_the_waiting_for_it():
    time = timed(LAYOUT, H100.model_copy(update={"inside": FREE, "between": FREE}))
    assert (time.exchange, time.gradients, time.weights) == (0, 0, 0)
    assert time.waiting > 0
    cost = cost_on(TINY, LAYOUT)
    assert time.compute == pytest.approx(16 * cost.flops_step / H100.flops_per_s(bf16=True))


def test_dense_networks_and_whole_sets_of_experts_exchange_nothing():
    for config, ep in ((DENSE, 1), (TINY, 1)):
        time = timed(replace(LAYOUT, ep_size=ep), config=config)
        assert (time.exchange, time.waiting) == (0, 0)
        assert time.gradients > 0


def test_bytes_on_wires_without_latency_are_those_of_the_traffic():
    beta = 1e-9
    wire = Link(alpha_s=0, beta_s_per_byte=beta)
    cluster = H100.model_copy(update={"inside": wire, "between": wire})
    for spread in (LAYOUT, replace(LAYOUT, zero_stage=2, accumulation=2, recompute=True)):
        time, traffic = timed(spread, cluster), cost_on(TINY, spread).traffic
        assert time.exchange == pytest.approx(beta * traffic.exchange)
        reduced = traffic.gradients + traffic.expert_gradients
        assert time.gradients == pytest.approx(beta * reduced)
        assert time.weights == pytest.approx(beta * traffic.weights)


def test_what_overlaps_is_only_moved_out_of_sight():
    cost = cost_on(TINY, LAYOUT)
    shown, _ = step_time(TINY, cost, LAYOUT, H100, PLAIN)
    both = Arrangement(overlap_exchange=True, overlap_gradients=True)
    part, hidden = step_time(TINY, cost, LAYOUT, H100, both)
    assert part.exchange + hidden.exchange == pytest.approx(shown.exchange)
    assert part.gradients + hidden.gradients == pytest.approx(shown.gradients)
    assert 0 < hidden.exchange < shown.exchange
    assert part.compute == shown.compute


def test_a_reduction_of_one_bucket_hides_behind_nothing():
    way, spread = Arrangement(overlap_gradients=True), replace(LAYOUT, ep_size=1)
    small, medium = DENSE, load_run_config("medium", []).model
    assert cost_on(small, spread).rank_parameters < REDUCE_BUCKET
    assert step_time(small, cost_on(small, spread), spread, H100, way)[1].gradients == 0
    assert step_time(medium, cost_on(medium, spread), spread, H100, way)[1].gradients > 0


def test_hierarchical_exchanges_pay_across_nodes_and_change_nothing_inside():
    for ep, gain in ((8, False), (16, True)):
        spread = replace(LAYOUT, ep_size=ep)
        flat, hierarchical = (
            timed(spread, way=Arrangement(hierarchical=way)) for way in (False, True)
        )
        assert (hierarchical.exchange < flat.exchange) == gain
        assert hierarchical.exchange <= flat.exchange * (1 + 1e-12)


def test_experts_inside_nodes_exchange_faster_and_across_them_reduce_faster():
    inside, across = (timed(LAYOUT, way=Arrangement(where)) for where in ("inside", "across"))
    assert inside.exchange < across.exchange
    assert across.gradients < inside.gradients


def test_accumulation_repeats_the_work_and_reduces_once():
    once, twice = timed(LAYOUT), timed(replace(LAYOUT, accumulation=2))
    assert twice.compute == pytest.approx(2 * once.compute)
    blocks = twice.launches - once.launches
    assert once.launches == pytest.approx(H100.launch_s_per_step + blocks)
    assert twice.exchange == pytest.approx(2 * once.exchange)
    assert twice.gradients == once.gradients
    assert twice.weights == once.weights


def test_the_work_of_one_expert_is_its_matrix():
    tokens, width = (TINY.resolution // TINY.patch) ** 2, TINY.width
    assert isinstance(TINY, MoEPOTConfig)
    assert expert_work_of(TINY) == TINY.blocks * 2 * tokens * width * width * TINY.mlp_ratio
    everything = TINY.router.model_copy(update={"top_k": TINY.router.num_experts})
    all_chosen = TINY.model_copy(update={"router": everything})
    assert expert_work_of(all_chosen) == expert_work_of(TINY)
    idle = (TINY.router.num_experts - TINY.router.top_k) * expert_work_of(TINY)
    assert work_of(all_chosen).products == work_of(TINY).products + idle
