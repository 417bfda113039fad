"""Laws of choosing windows: spread over the split, none twice, the same at every call."""

import numpy as np
import pytest

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import square
from data_shards.stream.windows import load_windows
from evaluation.routing.sampling import choose_windows, load_contexts

LAYOUT = square(16)


@pytest.mark.parametrize("count", [1, 5, 12, 30, 84])
def test_windows_are_distinct_and_shared_evenly(count: int) -> None:
    windows = choose_windows("a/train", 12, 7, count=count)
    assert len(set(windows)) == len(windows) == count
    shares = np.bincount([trajectory for trajectory, _ in windows], minlength=12)
    assert shares.max() - shares.min() <= 1
    assert all(0 <= start < 7 for _, start in windows)


def test_few_windows_reach_from_the_beginning_of_a_split_to_its_end() -> None:
    """A split may be sorted by geometry: the first few would show one of them only."""
    chosen = [trajectory for trajectory, _ in choose_windows("a/train", 100, 3, count=4)]
    assert chosen == [0, 25, 50, 75]


def test_no_more_windows_come_than_there_are() -> None:
    assert len(choose_windows("a/train", 3, 4, count=1000)) == 12
    assert choose_windows("a/train", 3, 4, count=1000, start="first") == [(0, 0), (1, 0), (2, 0)]


def test_starts_follow_from_seed_and_split_and_reach_all_frames() -> None:
    draw = choose_windows("a/train", 200, 11, count=200)
    assert draw == choose_windows("a/train", 200, 11, count=200)
    assert draw != choose_windows("a/train", 200, 11, count=200, seed=1)
    assert draw != choose_windows("a/test", 200, 11, count=200)
    # each of 11 starts is missed by 200 draws with probability 5e-9
    assert {start for _, start in draw} == set(range(11))


def test_contexts_are_the_windows_asked_for(waves) -> None:  # type: ignore[no-untyped-def]
    corpus = ShardedCorpus.open(waves, "toy_duct", "test")
    batch = load_contexts(corpus, [(0, 3), (2, 1)], LAYOUT, 10)
    alone = load_windows(corpus, [2], LAYOUT, context_frames=10, target_frames=2, start=1)
    assert batch.given.shape == (2, 10, 4, 16, 16)
    assert batch.asked.shape[1] == 0
    assert (batch.given[1] == alone.given[0]).all()
    assert batch.keys == (f"{corpus.keys[0]}@3", f"{corpus.keys[2]}@1")
