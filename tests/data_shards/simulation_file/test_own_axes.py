"""Axes are told apart by names, coordinates and sizes; what stays open is asked for."""

import pytest

from data_shards.errors import UserError
from data_shards.simulation_file.axes import Evidence, guess_axes, letter_of, read_axes

TEN = Evidence(frames=10)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((20, 64, 64), "tyx"),
        ((64, 64, 20), "yxt"),
        ((10, 256, 128), "tyx"),  # 10 x 256 would be an odd plane
        ((20, 64, 64, 3), "tyxc"),
        ((20, 3, 64, 64), "tcyx"),
        ((64, 64, 20, 3), "yxtc"),
        ((100, 20, 64, 64), "styx"),
        ((100, 64, 64, 20), "syxt"),
        ((7, 20, 64, 64, 2), "styxc"),
        ((7, 20, 2, 64, 64), "stcyx"),
        ((20, 4, 64, 64), "tcyx"),  # four frames of twenty runs would be too few
    ],
)
def test_sizes_alone_tell_square_planes(shape: tuple[int, ...], axes: str) -> None:
    assert guess_axes(shape, TEN, "here") == axes


@pytest.mark.parametrize("frames", [4, 9])
def test_too_few_frames_are_not_made_up_for_by_taking_columns_as_frames(frames: int) -> None:
    assert guess_axes((frames, 48, 48), TEN, "here") == "tyx"
    assert guess_axes((48, 48, frames), TEN, "here") == "yxt"
    assert guess_axes((4, 48, 64), TEN, "here") == "tyx"


@pytest.mark.parametrize(
    "shape", [(9, 48, 64), (20, 48, 64), (64, 64, 64), (4, 20, 64, 64), (30, 20, 40, 50)]
)
def test_two_equal_readings_are_asked_about_with_both_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"can be read in \d+ ways.*--axes .* or --axes "):
        guess_axes(shape, TEN, "here")


@pytest.mark.parametrize("axes", ["tyx", "txy", "yxt", "xyt", "xty", "ytx"])
def test_coordinates_of_different_lengths_tell_every_order(axes: str) -> None:
    lengths = {"t": 20, "y": 48, "x": 64}
    shape = tuple(lengths[letter] for letter in axes)
    assert guess_axes(shape, Evidence(lengths=lengths), "here") == axes


def test_names_of_axes_speak_louder_than_sizes() -> None:
    named = Evidence(names=("x", "time", "lat"), frames=10)
    assert guess_axes((20, 64, 64), named, "here") == "xty"


def test_times_may_have_one_end_more_than_frames() -> None:
    ends = Evidence(lengths={"t": 21, "y": 48, "x": 64})
    assert guess_axes((20, 48, 64), ends, "here") == "tyx"


def test_an_axis_of_one_entry_is_no_question() -> None:
    assert guess_axes((1, 20, 64, 64), TEN, "here")[1:] == "tyx"
    assert guess_axes((20, 64, 64, 1), TEN, "here")[:3] == "tyx"


def test_named_channels_tell_channels_from_samples() -> None:
    assert guess_axes((4, 20, 64, 64), Evidence(channels=4, frames=10), "here") == "ctyx"
    assert guess_axes((4, 20, 64, 64), Evidence(one_each=True, frames=10), "here") == "styx"


def test_a_named_sample_tells_samples_from_channels() -> None:
    assert guess_axes((4, 20, 64, 64), Evidence(frames=10, samples=True), "here") == "styx"


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("t", "t"), ("Time", "t"), ("dimensions/time", "t"), ("t-coordinate", "t"), ("lat", "y"),
        ("x_coordinate", "x"), ("longitude", "x"), ("level", "z"), ("velocity", ""), ("u", ""),
    ],
)  # fmt: skip
def test_usual_names_are_known(name: str, letter: str) -> None:
    assert letter_of(name) == letter


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("t,y", "t and x among them"),
        ("t,y,x,q", "each once"),
        ("t,y,x,x", "each once"),
        ("t,y,x,c", "4 letters"),
        ("t,z,y,x", "three dimensions"),
    ],
)
def test_wrong_axes_are_refused(text: str, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        read_axes(text, (20, 8, 8), "array 'u'")


@pytest.mark.parametrize("shape", [(64,), (1, 2, 3, 4, 5, 6)])
def test_other_than_planes_and_lines_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="wanted frames of planes"):
        guess_axes(shape, TEN, "here")


@pytest.mark.parametrize("shape", [(20, 32, 32, 32), (64, 64, 64, 20), (5, 20, 32, 32, 32)])
def test_a_cube_that_nothing_names_is_not_taken_for_samples_of_planes(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(UserError, match=r"--axes .*three dimensions of space, save a slice"):
        guess_axes(shape, TEN, "here")


def test_three_dimensions_of_space_are_refused() -> None:
    names = Evidence(names=("time", "z", "y", "x"))
    with pytest.raises(UserError, match="three dimensions"):
        guess_axes((20, 8, 16, 16), names, "here")


LINE = {"t": 20, "x": 64}


@pytest.mark.parametrize(
    ("shape", "lengths", "axes"),
    [
        ((20, 64), LINE, "tx"),
        ((64, 20), LINE, "xt"),
        ((64, 20), {"x": 64}, "xt"),
        ((1000, 20, 64), LINE, "stx"),
        ((20, 64, 3), LINE, "txc"),
        ((20, 3, 64), LINE, "tcx"),
        ((1000, 20, 64, 3), LINE, "stxc"),
        ((30, 20, 64), {"t": 21, "x": 64}, "stx"),  # PDEBench's ends of intervals
    ],
)
def test_an_axis_that_nothing_speaks_for_is_no_row_where_time_and_columns_are_known(
    shape: tuple[int, ...], lengths: dict[str, int], axes: str
) -> None:
    assert guess_axes(shape, Evidence(lengths=lengths, frames=10), "here") == axes


def test_rows_that_a_name_or_a_mask_speaks_for_stay_rows() -> None:
    assert guess_axes((20, 48, 64), Evidence(lengths=LINE, planes=True), "here") == "tyx"
    named = Evidence(names=("time", "y", "x"), lengths=LINE)
    assert guess_axes((20, 48, 64), named, "here") == "tyx"


def test_two_axes_and_one_between_time_and_columns_are_asked_about() -> None:
    with pytest.raises(UserError, match=r"no frames of planes.* over time, --axes x,t \(64 frames"):
        guess_axes((20, 64), TEN, "here")
    with pytest.raises(UserError, match="can be read in 2 ways"):
        guess_axes((20, 48, 64), Evidence(lengths=LINE), "here")


def test_a_single_plane_is_no_line_over_time() -> None:
    with pytest.raises(UserError, match="no frames of planes"):
        guess_axes((48, 64), Evidence(lengths={"y": 48, "x": 64}), "here")
