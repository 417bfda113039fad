"""Boxes: shares sum to one, cores are where they should be, points are drawn from their own box."""

import pytest
import torch

from data_shards.errors import UserError
from foundation.constraint.boxes import box_windows, drawn_points, scattered_windows

CASES = [((9, 16), (1, 4)), ((9, 16), (3, 2)), ((12,), (5,)), ((8, 12, 10), (2, 3, 2))]


@pytest.mark.parametrize("overlap", [0, 1, 2])
@pytest.mark.parametrize(("shape", "splits"), CASES)
def test_shares_sum_to_one_in_every_point(shape, splits, overlap):
    widths = [n // k for n, k in zip(shape, splits, strict=True) if k > 1]
    if 2 * overlap > min(widths):
        with pytest.raises(UserError, match=r"overlap=.*take at most"):
            box_windows(shape, splits, overlap)
        return
    windows = box_windows(shape, splits, overlap)
    assert windows.shape == (torch.Size(splits).numel(), *shape)
    assert windows.min() >= 0
    torch.testing.assert_close(windows.sum(0), torch.ones(shape).double(), rtol=0, atol=1e-15)


def test_without_overlap_a_box_is_its_own_part_in_row_major_order():
    windows = box_windows((4, 6), (2, 3))
    expected = torch.zeros(6, 4, 6).double()
    for box in range(6):
        row, column = divmod(box, 3)
        expected[box, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1
    assert torch.equal(windows, expected)


def test_with_overlap_a_share_falls_linearly_and_reaches_no_farther():
    left, right = box_windows((8,), (2,), overlap=2)
    assert left.tolist() == [1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0]
    assert torch.equal(right, left.flip(0))


def test_scattered_points_are_shared_out_evenly_and_alike_every_time():
    windows = scattered_windows((5, 7), 4, seed=3)
    assert torch.equal(windows.sum(0), torch.ones(5, 7).double())
    assert sorted(windows.sum((1, 2)).tolist()) == [8, 9, 9, 9]
    assert torch.equal(windows, scattered_windows((5, 7), 4, seed=3))
    assert not torch.equal(windows, scattered_windows((5, 7), 4, seed=4))


@pytest.mark.parametrize("budget", [None, 3, 100])
def test_points_are_each_boxs_own_and_none_twice(budget, generator):
    windows = box_windows((4, 6), (2, 2)).flatten(1)
    usable = torch.ones(24, dtype=torch.bool)
    usable[:6] = False  # the first frame
    positions, counts = drawn_points(windows, usable, budget, generator)
    expected = [6, 6, 3, 3]  # the upper boxes have one frame of three cells
    for box in range(4):
        own = positions[box][counts[box] > 0].tolist()
        assert len(own) == len(set(own)) == min(budget or 24, sorted(expected)[2 * (box > 1)])
        assert all(windows[box, point] > 0 and usable[point] for point in own)


def test_other_points_are_drawn_by_another_seed():
    windows, usable = torch.ones(1, 50), torch.ones(50, dtype=torch.bool)
    drawn = [
        drawn_points(windows, usable, 10, torch.Generator().manual_seed(seed))[0].tolist()
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("splits", "message"), [((2,), "wanted 2 numbers"), ((9, 1), "9 boxes along 4 cells")]
)
def test_boxes_that_do_not_fit_are_refused(splits, message):
    with pytest.raises(UserError, match=message):
        box_windows((4, 6), splits)


def test_a_box_without_a_usable_point_is_refused(generator):
    with pytest.raises(UserError, match="holds no point"):
        drawn_points(box_windows((4,), (4,)), torch.tensor([False, True, True, True]), 1, generator)
