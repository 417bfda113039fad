"""Few-shot curves by hand: means, spreads, and where two curves meet."""

import math

import pytest

from evaluation.transfer.curve import EqualSize, Gain, Point, crossing, curve_of, equal_size, gains


def line(*points: tuple[int, float]) -> tuple[Point, ...]:
    return curve_of(points)


def test_points_are_means_over_seeds_with_their_standard_error():
    curve = curve_of([(16, 0.3), (8, 0.4), (8, 0.6), (16, 0.1), (8, 0.5), (32, 0.2)])
    assert [(p.trajectories, p.seeds) for p in curve] == [(8, 3), (16, 2), (32, 1)]
    assert [p.error for p in curve] == pytest.approx([0.5, 0.2, 0.2])
    # deviations of (-0.1, 0, 0.1) with n - 1 are 0.1, over the root of 3; of (-0.1, 0.1) 0.1414
    assert curve[0].standard_error == pytest.approx(0.1 / math.sqrt(3))
    assert curve[1].standard_error == pytest.approx(0.1)
    assert curve[2].standard_error is None


def test_a_diverged_seed_diverges_its_point():
    (point,) = curve_of([(8, 0.1), (8, math.inf)])
    assert point.error == math.inf
    assert point.standard_error is None
    assert Point.model_validate_json(point.model_dump_json()) == point


@pytest.mark.parametrize(
    ("error", "wanted", "bound"),
    [
        (0.8, 10, "at_most"),  # the curve starts at half of it
        (0.4, 10, "at_most"),
        (0.2, 100, "exact"),  # a measured point
        (0.4 / math.sqrt(2), 10 * math.sqrt(10), "exact"),  # half way in logarithms
        (0.15, 100 * 10 ** (math.log(4 / 3) / math.log(2)), "exact"),
        (0.1, 1000, "exact"),
        (0.09, 1000, "at_least"),
    ],
)
def test_equal_sizes_lie_on_straight_lines_of_logarithms(error, wanted, bound):
    found = equal_size(line((10, 0.4), (100, 0.2), (1000, 0.1)), error)
    assert found.bound == bound
    assert found.trajectories == pytest.approx(wanted)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_a_power_law_is_interpolated_without_error(power):
    curve = line(*((n, n**-power) for n in (8, 16, 64, 512)))
    for n in (9, 20, 100, 500):
        assert equal_size(curve, n**-power).trajectories == pytest.approx(n)


def test_the_first_way_down_counts_on_a_bumpy_curve():
    curve = line((10, 0.4), (20, 0.5), (40, 0.3), (80, 0.35), (160, 0.2))
    assert equal_size(curve, 0.3).trajectories == pytest.approx(40)
    assert equal_size(curve, 0.45) == EqualSize(trajectories=10, bound="at_most")


def test_from_a_diverged_point_no_line_leads():
    curve = line((10, math.inf), (20, 0.3), (40, 0.1))
    assert equal_size(curve, 0.5) == EqualSize(trajectories=20, bound="at_most")
    assert equal_size(curve, 0.3) == EqualSize(trajectories=20, bound="at_most")
    assert equal_size(curve, 0.2).bound == "exact"


@pytest.mark.parametrize("error", [math.inf, math.nan, 0.0])
def test_what_is_no_error_is_reached_nowhere(error):
    assert equal_size(line((10, 0.3)), error) is None
    assert equal_size((), 0.3) is None


def test_data_saved_at_equal_error():
    pretrained = line((10, 0.2), (100, 0.1), (1000, 0.05))
    scratch = line((10, 0.8), (100, 0.4), (1000, 0.1))
    small, middle, large = gains(pretrained, scratch)
    # from 0.4 at 100 to 0.1 at 1000: 0.2 is half way in logarithms
    assert small.equal.trajectories == pytest.approx(100 * math.sqrt(10))
    assert small.data_factor == pytest.approx(10 * math.sqrt(10))
    assert small.error_factor == pytest.approx(4)
    assert middle.equal.trajectories == pytest.approx(1000)
    assert middle.data_factor == pytest.approx(10)
    assert (large.equal.bound, large.data_factor) == ("at_least", 1.0)
    assert large.error_factor == pytest.approx(2)


def test_negative_transfer_needs_less_data_from_scratch():
    (gain, _) = gains(line((10, 0.4), (20, 0.3)), line((10, 0.2), (20, 0.1)))
    assert gain.error_factor == pytest.approx(0.5)
    assert (gain.equal.bound, gain.data_factor) == ("at_most", 1.0)


def test_sizes_without_a_counterpart_have_no_gain_but_stay_on_the_curve():
    found = gains(line((10, 0.2), (20, 0.1)), line((20, 0.3), (40, 0.05)))
    assert [gain.trajectories for gain in found] == [20]
    assert found[0].equal.trajectories == pytest.approx(
        20 * 2 ** (math.log(0.3 / 0.1) / math.log(0.3 / 0.05))
    )


def test_a_diverged_fine_tuning_has_no_gain():
    (gain,) = gains(line((10, math.inf)), line((10, 0.3)))
    assert gain.equal is gain.data_factor is gain.error_factor is None
    assert Gain.model_validate_json(gain.model_dump_json()) == gain


def test_curves_cross_where_their_lines_of_logarithms_do():
    """n^-1/4 from the checkpoint and 2 n^-1/2 from scratch meet at n = 16."""
    sizes = (4, 8, 64, 256)
    pretrained = line(*((n, n**-0.25) for n in sizes))
    scratch = line(*((n, 2 * n**-0.5) for n in sizes))
    found = crossing(pretrained, scratch)
    assert found.bound == "exact"
    assert found.trajectories == pytest.approx(16)


@pytest.mark.parametrize(
    ("scratch", "wanted"),
    [
        ([(10, 0.2), (40, 0.1)], EqualSize(trajectories=40, bound="at_least")),
        ([(10, 0.1), (40, 0.01)], EqualSize(trajectories=10, bound="at_most")),
        ([(10, math.inf), (40, 0.01)], EqualSize(trajectories=40, bound="at_most")),
        ([(10, 0.2), (40, 0.05)], EqualSize(trajectories=40, bound="exact")),
        ([(20, 0.2)], None),
        ([(10, math.inf)], EqualSize(trajectories=10, bound="at_least")),
    ],
)
def test_a_crossing_outside_the_numbers_tried_is_a_bound(scratch, wanted):
    found = crossing(line((10, 0.1), (40, 0.05)), line(*scratch))
    assert (found is None) == (wanted is None)
    if wanted is not None:
        assert found.bound == wanted.bound
        assert found.trajectories == pytest.approx(wanted.trajectories)


def test_errors_that_cannot_be_compared_cross_nowhere():
    assert crossing(line((10, math.inf)), line((10, math.inf))) is None
