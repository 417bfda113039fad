"""Simulated routes: they agree with the closed form, and their unevenness has the right limits."""

import pytest

from foundation.models.moe_pot import MoEPOTConfig
from foundation.moe.router import RouterConfig
from foundation.plan.routes import simulate_routes
from foundation.plan.traffic import expected_ranks


@pytest.mark.parametrize(("experts", "top_k"), [(16, 4), (16, 1), (8, 2)])
@pytest.mark.parametrize("ep_size", [2, 4, 8])
def test_ranks_visited_are_those_of_the_closed_form(experts, top_k, ep_size):
    mixture = MoEPOTConfig(
        width=32, blocks=2, heads=4, router=RouterConfig(num_experts=experts, top_k=top_k)
    )
    drawn = simulate_routes(experts, top_k, ep_size, 4, 4, 64)
    # 30 thousand samples and more: a standard error of under half a percent.
    assert drawn.visited == pytest.approx(expected_ranks(mixture, ep_size), rel=0.02)


def test_one_rank_waits_for_nobody():
    alone = simulate_routes(16, 4, 1, 64, 4, 8)
    assert (alone.computed, alone.received, alone.visited) == (1, 1, 0)


def test_all_experts_chosen_load_all_ranks_alike():
    even = simulate_routes(8, 8, 4, 2, 3, 5)
    assert even.computed == pytest.approx(1)
    assert even.received == pytest.approx(1)
    assert even.visited == 3


def test_small_batches_and_many_groups_are_uneven():
    few, many = (simulate_routes(16, 4, 8, 4, 4, micro) for micro in (1, 64))
    assert 1 < many.computed < few.computed
    assert 1 < many.received < few.received
    crowd = simulate_routes(16, 4, 8, 128, 4, 1)
    assert crowd.computed > few.computed


def test_the_mean_of_largest_loads_is_that_of_two_ranks_in_closed_form():
    # One sample per rank, one of two experts each: the fuller rank has 2 with 1/2, else 1.
    two = simulate_routes(2, 1, 2, 1, 125, 1)
    assert two.computed == pytest.approx(1.5, rel=0.02)


def test_large_runs_are_simulated_in_part_and_are_even():
    large = simulate_routes(16, 4, 8, 128, 10**5, 10**6)
    assert 1 < large.computed < 1.2


def test_preference_makes_loads_more_uneven():
    none, some, strong = (simulate_routes(16, 4, 8, 4, 4, 32, skew=s) for s in (0, 0.5, 2))
    assert none.computed < some.computed < strong.computed


def test_a_seed_is_a_simulation():
    assert simulate_routes(16, 4, 4, 2, 2, 2) == simulate_routes(16, 4, 4, 2, 2, 2)
    assert simulate_routes(16, 4, 4, 2, 2, 2) != simulate_routes(16, 4, 4, 2, 2, 2, seed=1)
