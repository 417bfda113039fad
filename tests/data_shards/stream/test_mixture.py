"""Laws of the mixture: exact quotas, even spread, one visit per pass, no state."""

import pickle
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from data_shards.errors import UserError
from data_shards.hashing import mix
from data_shards.stream.mixture import (
    MAX_BLOCK,
    MixtureConfig,
    MixturePlan,
    Source,
    block_quotas,
    chairman_assignment,
)

SOURCES = (Source("swe", 5, 91), Source("ns", 12, 10), Source("gas", 30, 11))
WEIGHTS = [
    "balanced",
    "proportional",
    {"swe": 0.7, "ns": 0.2, "gas": 0.1},
    {"swe": 1, "ns": 100, "gas": 17},
]


def plan(weights="balanced", seed=0, sources=SOURCES):
    return MixturePlan(sources, MixtureConfig(weights=weights, seed=seed))


def shares(weights):
    if weights == "balanced":
        return np.full(3, 1 / 3)
    values = [5, 12, 30] if weights == "proportional" else [weights[s.name] for s in SOURCES]
    return np.array(values) / sum(values)


@pytest.mark.parametrize(
    ("weights", "quotas"),
    [
        ("balanced", (1, 1, 1)),
        ("proportional", (5, 12, 30)),
        ({"swe": 0.7, "ns": 0.2, "gas": 0.1}, (7, 2, 1)),
        ({"swe": 2, "ns": 4, "gas": 6}, (1, 2, 3)),
    ],
)
def test_quotas_are_the_weights_in_smallest_whole_numbers(weights, quotas):
    assert block_quotas(SOURCES, MixtureConfig(weights=weights)) == quotas


@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_block_holds_the_exact_quotas(weights):
    planned = plan(weights)
    for block in (0, 1, 7, 10**9):
        first = block * planned.block_length
        drawn = Counter(planned.sample(first + i).corpus for i in range(planned.block_length))
        assert tuple(drawn[k] for k in range(3)) == planned.quotas


@pytest.mark.parametrize("weights", WEIGHTS)
def test_any_window_holds_every_corpus_within_two_of_its_share(weights):
    planned = plan(weights)
    drawn = np.eye(3)[[planned.sample(i).corpus for i in range(700)]]
    counts = np.concatenate([np.zeros((1, 3)), drawn.cumsum(axis=0)])
    excess = counts - np.arange(701)[:, None] * shares(weights)
    assert np.abs(excess).max() < 1  # every prefix; so any window is within two
    assert (excess.max(axis=0) - excess.min(axis=0)).max() < 2


def test_spread_is_even_for_any_quotas(rng):
    for _ in range(200):
        quotas = rng.integers(1, 40, size=rng.integers(1, 9)).tolist()
        order = chairman_assignment(quotas, rng.permutation(len(quotas)).tolist())
        assert [order.count(k) for k in range(len(quotas))] == quotas
        counts = np.eye(len(quotas))[order].cumsum(axis=0)
        ideal = np.arange(1, len(order) + 1)[:, None] * np.array(quotas) / sum(quotas)
        assert np.abs(counts - ideal).max() < 1


@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_trajectory_is_drawn_exactly_once_per_pass(weights):
    planned = plan(weights)
    draws = {k: [] for k in range(3)}
    for index in range(3000):
        sample = planned.sample(index)
        draws[sample.corpus].append(sample.trajectory)
    for corpus, source in enumerate(SOURCES):
        size = source.trajectories
        passes = [draws[corpus][i : i + size] for i in range(0, len(draws[corpus]), size)]
        full = [p for p in passes if len(p) == size]
        assert full
        assert all(sorted(p) == list(range(size)) for p in full)


def test_passes_are_in_fresh_orders():
    planned = plan(sources=SOURCES[2:])
    orders = [
        tuple(planned.sample(30 * once + i).trajectory for i in range(30)) for once in range(50)
    ]
    assert len(set(orders)) == 50
    assert tuple(range(30)) not in orders


def test_permutations_are_uniform():
    """The first trajectory of a pass is any one with equal probability."""
    planned = plan(sources=SOURCES[:1])
    firsts = Counter(planned.sample(5 * once).trajectory for once in range(5000))
    # Binomial (5000, 1/5): standard deviation 28; five of them. The seed is fixed.
    assert all(abs(firsts[k] - 1000) < 5 * 28.3 for k in range(5))


def test_start_frames_cover_all_windows_uniformly():
    planned = plan(sources=SOURCES[1:2])
    starts = Counter(planned.sample(i).start for i in range(20_000))
    assert sorted(starts) == list(range(10))
    # Binomial (20000, 1/10): standard deviation 42; five of them. The seed is fixed.
    assert all(abs(count - 2000) < 5 * 42.4 for count in starts.values())


def test_start_and_trajectory_are_not_coupled():
    planned = plan(sources=SOURCES[1:2])
    pairs = Counter(
        (sample.trajectory, sample.start) for sample in map(planned.sample, range(12_000))
    )
    assert len(pairs) == 12 * 10  # 100 expected of each: none is missing


def test_the_plan_is_a_pure_function_in_any_order_of_asking(rng):
    one, other = plan("proportional"), plan("proportional")
    indices = rng.permutation(5000).tolist()
    asked = {i: one.sample(i) for i in indices}
    assert [asked[i] for i in range(5000)] == [other.sample(i) for i in range(5000)]
    copy = pickle.loads(pickle.dumps(one))
    assert [copy.sample(i) for i in indices[:50]] == [asked[i] for i in indices[:50]]


def test_another_seed_gives_another_order():
    sequences = {tuple(plan(seed=seed).sample(i) for i in range(50)) for seed in range(20)}
    assert len(sequences) == 20


def test_a_corpus_keeps_its_own_sequence_whatever_it_is_mixed_with():
    def sequence(sources, name, weights="balanced"):
        planned = plan(weights, sources=sources)
        number = [source.name for source in sources].index(name)
        drawn = [s for s in map(planned.sample, range(300)) if s.corpus == number]
        return [(s.trajectory, s.start) for s in drawn][:60]

    alone = sequence(SOURCES[1:2], "ns")
    assert sequence(SOURCES, "ns") == alone
    assert sequence(SOURCES[::-1], "ns", "proportional") == alone


def test_balanced_blocks_do_not_tie_a_corpus_to_a_place_in_the_batch():
    planned = plan()
    orders = Counter(tuple(planned.sample(3 * b + i).corpus for i in range(3)) for b in range(600))
    assert len(orders) == 6  # all permutations of three
    assert min(orders.values()) > 50  # 100 expected, standard deviation 9


def test_fine_weights_are_rounded_to_the_longest_block():
    weights = {"swe": 0.123456789, "ns": 0.3, "gas": 0.576543211}
    quotas = block_quotas(SOURCES, MixtureConfig(weights=weights))
    assert sum(quotas) == MAX_BLOCK
    for quota, weight in zip(quotas, weights.values(), strict=True):
        assert abs(quota / MAX_BLOCK - weight) < 1 / MAX_BLOCK


@pytest.mark.parametrize(
    ("weights", "sources", "message"),
    [
        ({"swe": 1, "ns": 1}, SOURCES, "none for gas"),
        ({"swe": 1, "ns": 1, "gsa": 1}, SOURCES, "'gsa'; did you mean 'gas'"),
        ({"swe": 1e-9, "ns": 1, "gas": 1}, SOURCES, "weight of swe is below 1/16384"),
        ("balanced", (), "no corpus"),
        ("balanced", (SOURCES[0], SOURCES[0]), "swe is named twice"),
        ("balanced", (Source("swe", 5, 0),), "swe has 5 trajectories with 0 windows"),
    ],
)
def test_a_mixture_that_cannot_be_planned_is_refused(weights, sources, message):
    with pytest.raises(UserError, match=message):
        plan(weights, sources=sources)


@pytest.mark.parametrize("weights", ["balance", {"swe": -1}, {"swe": 0}])
def test_a_weight_that_is_no_weight_is_refused(weights):
    with pytest.raises(UserError, match="mixture"):
        MixtureConfig.read({"weights": weights}, "mixture")


def test_the_hash_is_the_published_splitmix64():
    # First outputs of the reference generator for the states 0 and 1234567.
    assert mix(0) == 0xE220A8397B1DCDAF
    assert mix(1234567) == 6457827717110365317


def test_neighbouring_draws_share_no_bits_systematically():
    hashes = np.array([mix(i) for i in range(4096)], dtype=np.uint64)
    bits = (hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    # Mean of 4096 fair coins: standard deviation 0.0078; five of them.
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.04
    assert all(a != b for a, b in pairwise(hashes.tolist()))
