"""Laws of the floor under a router's purity."""

from itertools import product

import numpy as np
import pytest
from routing_records import routing_record

from evaluation.board.page.routing import routing_chapter
from evaluation.routing.clusters import cluster_purity
from evaluation.routing.table import block_table


def _numbers(*counts: int) -> list[np.ndarray]:
    return [np.arange(count) for count in counts]


@pytest.mark.parametrize("corpora", [2, 3])
def test_corpora_far_apart_are_clusters_whatever_their_sizes(
    corpora: int, rng: np.random.Generator
) -> None:
    features = [rng.normal(20 * k, 1, size=(5 + 10 * k, 4)) for k in range(corpora)]
    assert cluster_purity(features, _numbers(*map(len, features)), 0) == pytest.approx(1)


def test_corpora_of_one_law_are_hardly_purer_than_chance(rng: np.random.Generator) -> None:
    features = list(rng.normal(size=(2, 400, 4)))
    # Shares of 400 draws are 0.025 off in the root mean square; of both, four of that.
    assert 0.5 <= cluster_purity(features, _numbers(400, 400), 0) < 0.5 + 4 * 0.025 / np.sqrt(2)


def test_windows_that_are_all_alike_are_one_cluster() -> None:
    features = [np.ones((3, 2)), np.ones((6, 2))]
    assert cluster_purity(features, _numbers(3, 6), 0) == pytest.approx(0.5)


def test_clusters_are_those_of_least_squares(rng: np.random.Generator) -> None:
    """Of all ways to part ten windows in two, one by one."""
    features = [rng.normal(size=(4, 2)), rng.normal(1, 1, size=(6, 2))]
    points = np.concatenate(features)

    def squares(sides: np.ndarray) -> float:
        parts = (points[sides == side] for side in np.unique(sides))
        return sum(((part - part.mean(0)) ** 2).sum() for part in parts)

    best = min(map(np.array, product((0, 1), repeat=10)), key=squares)
    shares = [[(own == side).mean() for side in (0, 1)] for own in (best[:4], best[4:])]
    wanted = np.max(shares, axis=0).sum() / 2
    assert cluster_purity(features, _numbers(4, 6), 0) == pytest.approx(wanted)


def test_trajectories_weigh_alike_however_many_windows_they_have() -> None:
    """One of a corpus's two trajectories lies with the other corpus."""
    features = [np.array([[0.0]] * 9 + [[5.0]]), np.full((4, 1), 5.0)]
    numbers = [np.array([0] * 9 + [1]), np.arange(4)]
    assert cluster_purity(features, numbers, 0) == pytest.approx((0.5 + 1) / 2)


def test_the_floor_stands_beside_the_purity_where_there_is_one() -> None:
    record = routing_record(10)
    floored = record.model_copy(update={"untrained_purity": 0.625})
    assert "Untrained" not in block_table(record)
    assert block_table(floored).count("0.625") == 3  # two blocks, and all
    for one, column in ((record, False), (floored, True)):
        chapter = routing_chapter([one])
        assert chapter is not None
        table = str(chapter)
        assert "Purity" in table
        assert ("Untrained clusters" in table) == column
