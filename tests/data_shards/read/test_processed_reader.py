"""Laws of the reader of prepared files: `data` (X, Y, T, C), one or many, for any card."""

import h5py
import numpy as np
import pytest
from bare_card import PERIODIC, bare_card
from published_files import COLUMNS, FRAMES, ROWS, WEIGHTS, expected, numbered

from data_shards.card import PublishedFiles
from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.read import open_raw

GRID = (ROWS, COLUMNS)
CHANNELS = ("a", "b")


def prepared(number=0, *, axes="xytc", channels=2, frames=FRAMES):
    """One trajectory as the preparation leaves it."""
    return numbered(axes, c=channels, t=frames) + np.float32(WEIGHTS["n"] * number)


def card_of(name="toy", channels=CHANNELS, **changes):
    return bare_card(name, "processed", channels, FRAMES, GRID, **changes)


def real(name, **options):
    """A card that ships, read as prepared files instead of its own."""
    published = PublishedFiles(reader="processed", options=options)
    sizes = {"native_grid": GRID, "frames": FRAMES, "rollout_frames": 2}
    return load_card(name).model_copy(update={"published": published, **sizes})


def scatter(folder, values):
    folder.mkdir(parents=True)
    for number, value in enumerate(values):
        with h5py.File(folder / f"data_{number}.hdf5", "w") as file:
            file["data"] = value


def whole(path, values):
    with h5py.File(path, "w") as file:
        file["data"] = np.stack(values)
    return path


def read_all(card, split, path):
    corpus = open_raw(card, split, path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


def test_scattered_files_are_read_in_the_order_of_their_numbers(tmp_path):
    scatter(tmp_path / "train", [prepared(number) for number in range(12)])
    scatter(tmp_path / "test", [prepared(number) for number in (20, 21)])
    for split, numbers in {"train": range(12), "test": (20, 21)}.items():
        trajectories = read_all(card_of(), split, tmp_path)
        assert [t.index for t in trajectories] == list(range(len(numbers)))
        for trajectory, number in zip(trajectories, numbers, strict=True):
            np.testing.assert_array_equal(trajectory.fields, expected(number, 2))
            assert (trajectory.dt_s, trajectory.extent) == (0.5, (0.0, 4.0, 0.0, 3.0))
            assert trajectory.boundary == PERIODIC
    assert len(read_all(card_of(), "test", tmp_path / "test")) == 2  # the split's own folder


def test_one_file_per_split_is_found_by_its_name(tmp_path):
    whole(tmp_path / "toy_train.hdf5", [prepared(number) for number in range(3)])
    renamed = whole(tmp_path / "toy_test.hdf5", [prepared(number) for number in (8, 9)])
    for path, split, numbers in ((tmp_path, "train", (0, 1, 2)), (tmp_path, "test", (8, 9)),
                                 (renamed, "test", (8, 9))):  # fmt: skip
        for trajectory, number in zip(read_all(card_of(), split, path), numbers, strict=True):
            np.testing.assert_array_equal(trajectory.fields, expected(number, 2))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_missing_channel_axis_is_one_channel(tmp_path, dtype):
    values = [prepared(n, channels=1)[..., 0].astype(dtype) for n in range(2)]
    path = whole(tmp_path / "x.hdf5", values)
    scatter(tmp_path / "train", values)
    for place in (path, tmp_path):
        for number, trajectory in enumerate(read_all(card_of(channels=("w",)), "train", place)):
            np.testing.assert_array_equal(trajectory.fields, expected(number))


def test_padding_channels_are_left_out(tmp_path):
    path = whole(tmp_path / "x.hdf5", [prepared(0, channels=4)])
    trajectory = read_all(card_of(), "train", path)[0]
    np.testing.assert_array_equal(trajectory.fields, expected(0, 4)[:, :2])
    assert trajectory.mask is None


def test_channels_are_found_by_the_names_of_the_options(tmp_path):
    path = whole(tmp_path / "x.hdf5", [prepared(0, channels=4)])
    card = card_of(options={"channels": ["", "b", "a"]})
    np.testing.assert_array_equal(
        read_all(card, "train", path)[0].fields, expected(0, 4)[:, [2, 1]]
    )


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("fno_ns_1e-3", "yxtc"),
        ("pdebench_dr", "yxtc"),
        ("pdebench_swe", "xytc"),
        ("pdebench_cns_m0.1", "xytc"),
    ],
)
def test_the_preparations_axes_are_those_of_the_corpus(tmp_path, name, axes):
    card = real(name)
    count = len(card.channels)
    path = whole(tmp_path / "x.hdf5", [prepared(3, axes=axes, channels=count)])
    trajectory = read_all(card, "train", path)[0]
    np.testing.assert_array_equal(trajectory.fields, expected(3, count))
    other = "xy" if axes.startswith("yx") else "yx"
    path = whole(tmp_path / "y.hdf5", [prepared(3, axes=f"{other}tc", channels=count)])
    with pytest.raises(UserError, match="set the options axes and channels"):
        read_all(card, "train", path)
    turned = read_all(real(name, axes=other), "train", path)[0]
    np.testing.assert_array_equal(turned.fields, expected(3, count))


def test_parameters_that_the_card_fixes_are_kept(tmp_path):
    path = whole(tmp_path / "x.hdf5", [prepared(0, axes="yxtc", channels=1)])
    trajectory = read_all(real("fno_ns_1e-3"), "train", path)[0]
    assert trajectory.parameters["viscosity"] == 1e-3


def test_smoke_comes_first_in_pdearenas_files_and_last_on_its_card(tmp_path):
    path = whole(tmp_path / "x.hdf5", [prepared(0, channels=3)])  # u, vx, vy
    trajectory = read_all(real("pdearena_ns"), "train", path)[0]
    np.testing.assert_array_equal(trajectory.fields, expected(0, 3)[:, [1, 2, 0]])


def test_cfdbenchs_mask_is_the_third_channel_cut_at_one_half(tmp_path):
    values = prepared(0, axes="yxtc", channels=4)
    fraction = np.linspace(0, 1, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    values[..., 2] = fraction[..., None]
    path = whole(tmp_path / "x.hdf5", [values])
    known = {"dt_s": 0.1, "extent": [0, 2, 0, 1], "boundary": {"left": "inflow"}}
    trajectory = read_all(real("cfdbench", **known), "train", path)[0]
    np.testing.assert_array_equal(trajectory.fields, expected(0, 4)[:, :2])
    np.testing.assert_array_equal(trajectory.mask, fraction >= 0.5)
    assert (trajectory.dt_s, trajectory.extent) == (0.1, (0, 2, 0, 1))
    assert trajectory.boundary == {"left": "inflow"}
    values = values[..., :2]  # without its mask
    assert read_all(real("cfdbench", **known), "train",
                    whole(path, [values]))[0].mask is None  # fmt: skip


def refusal(card, split, path):
    with pytest.raises(UserError) as caught:
        read_all(card, split, path)
    return str(caught.value)


def test_what_neither_card_nor_options_know_is_asked_for(tmp_path):
    path = whole(tmp_path / "x.hdf5", [prepared(0)])
    message = refusal(real("cfdbench"), "train", path)
    assert "dt_s=None, extent=None, boundary=None" in message
    assert "give these options" in message


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (prepared(axes="xyct"), "data is (1, 8, 6, 2, 12)"),
        (prepared(frames=5), "data is (1, 8, 6, 5, 2)"),
        (prepared(channels=1), "and 2 channels or more (a, b)"),
        (prepared()[0], "data is (1, 6, 12, 2)"),
        (prepared()[0, 0], "data is (1, 12, 2)"),
        (prepared().astype("i8"), "no dataset 'data' of floating-point numbers"),
    ],
)
def test_an_array_other_than_the_cards_is_refused(tmp_path, values, says):
    path = whole(tmp_path / "x.hdf5", [values])
    message = refusal(card_of(), "train", path)
    assert says in message
    assert str(path) in message


def test_files_that_are_not_there_are_named(tmp_path):
    scatter(tmp_path / "train", [prepared(number) for number in range(4)])
    assert "the preparation keeps no validation split" in refusal(card_of(), "validation", tmp_path)
    assert "is the train split, wanted test" in refusal(card_of(), "test", tmp_path / "train")
    (tmp_path / "train" / "data_2.hdf5").unlink()
    assert "holds no data_2.hdf5" in refusal(card_of(), "train", tmp_path)
    assert "no such file or folder" in refusal(card_of(), "train", tmp_path / "nowhere")


def test_a_file_without_data_or_cut_short_is_refused(tmp_path):
    path = tmp_path / "x.hdf5"
    with h5py.File(path, "w") as file:
        file["tensor"] = prepared()
    assert "no dataset 'data' of floating-point numbers, only: tensor" in refusal(
        card_of(), "train", path
    )
    raw = whole(path, [prepared(n) for n in range(3)]).read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    assert "damaged or cut short" in refusal(card_of(), "train", path)


def test_options_that_lose_a_channel_are_refused(tmp_path):
    path = whole(tmp_path / "x.hdf5", [prepared(0)])
    message = refusal(card_of(options={"channels": ["a"]}), "train", path)
    assert "channels lack b of the card" in message
