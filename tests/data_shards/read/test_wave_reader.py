"""Laws of the wave reader: (x, y) in the files, assembled or in pieces, c only if asked for."""

import h5py
import numpy as np
import pytest
from published_files import COLUMNS, ROWS, WEIGHTS, expected, numbered, small_card

from data_shards.card import Channel
from data_shards.errors import UserError
from data_shards.read import open_raw

SPLITS = {"train": (0, 3), "validation": (-4, -2), "test": (-2, None)}
COUNT = 7


def solution(first=0, count=COUNT):
    return numbered("ntxy", n=count) + np.float32(WEIGHTS["n"] * first)


def speed(first=0, count=COUNT):
    return numbered("nxy", 1, n=count) + np.float32(WEIGHTS["n"] * first)


@pytest.fixture
def assembled(tmp_path):
    path = tmp_path / "Wave-Layer.nc"
    with h5py.File(path, "w") as file:
        file["solution"], file["c"] = solution(), speed()
    return path


@pytest.fixture
def pieces(tmp_path):
    """As downloaded: solution_0.nc, ..., c_0.nc; 12 of them, so names do not sort by number."""
    folder = tmp_path / "pieces"
    folder.mkdir()
    for number in range(12):
        with h5py.File(folder / f"solution_{number}.nc", "w") as file:
            file["solution"] = solution(number, 1)
    with h5py.File(folder / "c_0.nc", "w") as file:
        file["c"] = speed(0, 12)
    return folder


def with_speed():
    card = small_card("wave_layer", SPLITS)
    published = card.published.model_copy(update={"options": {"coefficient": "channel"}})
    channels = (*card.channels, Channel(name="c", unit="m/s"))
    return card.model_copy(update={"published": published, "channels": channels})


def read_all(card, split, path):
    corpus = open_raw(card, split, path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


@pytest.mark.parametrize(
    ("split", "numbers"), {"train": [0, 1, 2], "validation": [3, 4], "test": [5, 6]}.items()
)
def test_an_assembled_file_gives_rows_and_columns(assembled, split, numbers):
    card = small_card("wave_layer", SPLITS)
    for path in (assembled, assembled.parent):
        trajectories = read_all(card, split, path)
        assert [trajectory.index for trajectory in trajectories] == numbers
        for trajectory in trajectories:
            np.testing.assert_array_equal(trajectory.fields, expected(trajectory.index))
            assert (trajectory.dt_s, trajectory.extent) == (0.05, (0.0, 1.0, 0.0, 1.0))
            assert trajectory.boundary["left"] == "open"
            assert trajectory.parameters == {}


def test_pieces_are_read_in_the_order_of_their_numbers(pieces):
    trajectories = read_all(small_card("wave_layer", {"train": (0, None)}), "train", pieces)
    assert len(trajectories) == 12
    for number, trajectory in enumerate(trajectories):
        np.testing.assert_array_equal(trajectory.fields, expected(number))


@pytest.mark.parametrize("source", ["assembled", "pieces"])
def test_the_wave_speed_can_be_a_second_channel_constant_in_time(request, source):
    path = request.getfixturevalue(source)
    for trajectory in read_all(with_speed(), "train", path):
        np.testing.assert_array_equal(trajectory.fields[:, :1], expected(trajectory.index))
        wanted = expected(trajectory.index, 2)[0, 1]
        for frame in trajectory.fields[:, 1]:
            np.testing.assert_array_equal(frame, wanted)


def refusal(card, path, split="train"):
    with pytest.raises(UserError) as caught:
        read_all(card, split, path)
    return str(caught.value)


def test_a_missing_piece_is_named(pieces):
    (pieces / "solution_3.nc").unlink()
    assert "holds no solution_3.nc" in refusal(small_card("wave_layer", SPLITS), pieces)


def test_pieces_of_the_speed_must_be_as_many(pieces):
    (pieces / "solution_11.nc").unlink()
    message = refusal(with_speed(), pieces)
    assert "{'solution': 11, 'c': 12}" in message


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("solution", solution().swapaxes(2, 3), "solution is (7, 12, 6, 8)"),
        ("solution", solution()[:, :5], "solution is (7, 5, 8, 6)"),
        (
            "solution",
            np.zeros((7, 12, 48), "f4"),
            "wanted floating-point numbers over (N, T, x, y)",
        ),
        ("solution", np.zeros((7, 12, 8, 6), "i4"), "wanted floating-point numbers"),
        ("c", speed().swapaxes(1, 2), "c is (7, 6, 8)"),
        ("c", None, "c: no such dataset"),
    ],
)
def test_arrays_other_than_the_cards_are_refused(assembled, name, values, says):
    with h5py.File(assembled, "a") as file:
        del file[name]
        if values is not None:
            file[name] = values
    assert says in refusal(with_speed(), assembled)


def test_a_file_cut_short_is_refused(assembled):
    whole = assembled.read_bytes()
    assembled.write_bytes(whole[: len(whole) // 3])
    assert "damaged or cut short" in refusal(small_card("wave_layer", SPLITS), assembled)


def test_too_many_or_too_few_channels_are_refused(assembled):
    card = small_card("wave_layer", SPLITS)
    two = card.model_copy(update={"channels": with_speed().channels})
    assert "has 2 channels, its coefficient option 'none' gives 1" in refusal(two, assembled)


def test_a_card_without_time_step_is_refused(assembled):
    card = small_card("wave_layer", SPLITS, dt_s=None)
    assert "dt_s and extent are not in the files" in refusal(card, assembled)


def test_columns_are_the_first_spatial_axis_of_the_file():
    assert solution().shape[2:] == (COLUMNS, ROWS)
