"""Laws of the channel statistics: equal to numpy over everything at once."""

import numpy as np
import pytest

from data_shards.shards.statistics import StatisticsAccumulator


@pytest.mark.parametrize("name", ["toy_flow", "toy_gas", "toy_solid"])
def test_statistics_equal_those_of_the_concatenated_corpus(name, toy_trajectories, toy_card):
    trajectories = toy_trajectories(name)
    accumulator = StatisticsAccumulator(toy_card(name).channel_names)
    for trajectory in trajectories:
        accumulator.add(trajectory.fields, trajectory.full_mask)
    for channel, statistics in enumerate(accumulator.result()):
        cells = np.concatenate(
            [t.fields[:, channel, t.full_mask == 1].ravel() for t in trajectories]
        ).astype(np.float64)
        assert statistics.name == f"c{channel}"
        # Two float64 summation orders over 1e4 numbers around 1e3.
        np.testing.assert_allclose(statistics.mean, cells.mean(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(statistics.std, cells.std(), rtol=1e-10)
        assert (statistics.min, statistics.max) == (cells.min(), cells.max())


def test_the_order_of_the_trajectories_does_not_matter(toy_trajectories):
    results = []
    for trajectories in (toy_trajectories("toy_gas"), toy_trajectories("toy_gas")[::-1]):
        accumulator = StatisticsAccumulator(["a", "b", "c", "d"])
        for trajectory in trajectories:
            accumulator.add(trajectory.fields, trajectory.full_mask)
        results.append(accumulator.result())
    for one, other in zip(*results, strict=True):
        # Float64 round-off of merging moments in another order.
        np.testing.assert_allclose([one.mean, one.std], [other.mean, other.std], rtol=1e-12)


def test_solid_cells_do_not_count(toy_trajectories):
    trajectory = toy_trajectories("toy_solid", 1)[0]
    accumulator = StatisticsAccumulator(["u", "v"])
    accumulator.add(trajectory.fields, trajectory.full_mask)
    trajectory.fields[..., trajectory.mask == 0] = 1e6
    again = StatisticsAccumulator(["u", "v"])
    again.add(trajectory.fields, trajectory.full_mask)
    assert accumulator.result() == again.result()


def test_no_cells_have_no_statistics():
    with pytest.raises(ValueError, match="undefined"):
        StatisticsAccumulator(["u"]).result()
