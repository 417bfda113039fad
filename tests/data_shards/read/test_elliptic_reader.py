"""Laws of the reader of steady problems: one frame, rows first, coefficients as parameters."""

import h5py
import numpy as np
import pytest
from bare_card import bare_card
from published_files import COLUMNS, ROWS, WEIGHTS, numbered

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.read import open_raw

FILES = ("_train_k1_5_32k.h5", "_val_k1_5_4k.h5", "_test_k1_5_4k.h5")
COUNTS = {"train": 5, "validation": 2, "test": 3}
NAMES = ("k11", "k22", "k12")


def poisson(**changes):
    settings = {
        "files": FILES,
        "options": {"coefficients": NAMES},
        "parameters": dict.fromkeys(NAMES, (-1.0, 9.0)),
        **changes,
    }
    frames = settings.pop("frames", 1)
    return bare_card("poisson", "elliptic", ("source", "u"), frames, (ROWS, COLUMNS), **settings)


@pytest.fixture
def folder(tmp_path):
    for name, (split, count) in zip(FILES, COUNTS.items(), strict=True):
        offset = WEIGHTS["n"] * list(COUNTS).index(split) * 10
        with h5py.File(tmp_path / name, "w") as file:
            file["fields"] = numbered("ncyx", n=count, c=2) + np.float32(offset)
            file["tensor"] = np.arange(count * 3, dtype="f4").reshape(count, 3) / 10
    return tmp_path


def read_all(card, split, path):
    corpus = open_raw(card, split, path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


@pytest.mark.parametrize("split", COUNTS)
def test_a_split_is_its_own_file_of_one_frame_each(folder, split):
    offset = WEIGHTS["n"] * list(COUNTS).index(split) * 10
    trajectories = read_all(poisson(), split, folder)
    assert len(trajectories) == COUNTS[split]
    for number, trajectory in enumerate(trajectories):
        wanted = numbered("tcyx", c=2, t=1) + offset + WEIGHTS["n"] * number
        np.testing.assert_array_equal(trajectory.fields, wanted)
        assert trajectory.index == number
        tensor = {"k11": 0.3 * number, "k22": 0.3 * number + 0.1, "k12": 0.3 * number + 0.2}
        assert trajectory.parameters == pytest.approx(tensor)


def test_only_coefficients_on_the_card_are_kept(folder):
    card = poisson(parameters={"k22": (0.0, 9.0)})
    assert set(read_all(card, "test", folder)[1].parameters) == {"k22"}


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0])
def test_the_anisotropy_is_found_again_whatever_the_rotation(folder, angle):
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    k = 0.007 * turn @ np.diag([1, 3.5]) @ turn.T
    with h5py.File(folder / FILES[2], "a") as file:
        file["tensor"][...] = [k[0, 0], k[1, 1], k[0, 1]]
    card = poisson(parameters={"anisotropy": (1.0, 5.0)})
    found = read_all(card, "test", folder)[0].parameters
    assert found == {"anisotropy": pytest.approx(3.5, rel=1e-5)}  # of float32 coefficients


def test_a_file_of_any_name_is_given_itself(folder):
    renamed = (folder / FILES[2]).rename(folder / "mine.h5")
    assert len(read_all(poisson(), "test", renamed)) == 3


@pytest.mark.parametrize(
    ("name", "channels", "grid"),
    [
        ("elliptic_poisson", ("source", "u"), (128, 128)),
        ("elliptic_advection_diffusion", ("source", "u"), (128, 128)),
        ("elliptic_helmholtz", ("source", "u"), (128, 128)),
    ],
)
def test_the_cards_of_the_transfer_study_fit_their_files(tmp_path, name, channels, grid):
    card = load_card(name)
    assert (card.channel_names, card.native_grid) == (channels, grid)
    small = card.model_copy(update={"native_grid": (ROWS, COLUMNS)})
    coefficients = card.published.options["coefficients"]
    middles = [(card.parameters[c].low + card.parameters[c].high) / 2 for c in coefficients]
    for file_card, split in zip(card.published.files, COUNTS, strict=True):
        with h5py.File(tmp_path / file_card.name, "w") as file:
            file["fields"] = numbered("ncyx", n=2, c=2)
            file["tensor"] = np.tile(np.array(middles, "f4"), (2, 1))
            if card.published.options.get("other"):
                file["other"] = np.full((2, 1), 0.5, "f4")
        trajectory = read_all(small, split, tmp_path)[1]
        assert trajectory.boundary == dict.fromkeys(("left", "right", "bottom", "top"), "periodic")
        wanted = dict(zip(coefficients, middles, strict=True))
        found = {name: trajectory.parameters[name] for name in coefficients}
        assert found == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("fields", numbered("ncxy", n=5, c=2), "fields are (5, 2, 8, 6)"),
        ("fields", numbered("ncyx", n=5, c=3), "fields are (5, 3, 6, 8)"),
        ("tensor", np.zeros((5, 2), "f4"), "tensor (5, 2)"),
        ("tensor", np.zeros((4, 3), "f4"), "tensor (4, 3)"),
        ("tensor", np.full((5, 3), 10, "f4"), "k11 is 10"),
        ("fields", None, "fields: no such dataset"),
    ],
)
def test_arrays_other_than_the_cards_are_refused(folder, name, values, says):
    with h5py.File(folder / FILES[0], "a") as file:
        del file[name]
        if values is not None:
            file[name] = values
    with pytest.raises(UserError) as caught:
        read_all(poisson(), "train", folder)
    assert says in str(caught.value)
    assert FILES[0] in str(caught.value)


def test_a_missing_file_is_named(folder):
    (folder / FILES[1]).unlink()
    with pytest.raises(UserError, match=f"holds no {FILES[1]}.* and 0 other"):
        open_raw(poisson(), "validation", folder)


@pytest.mark.parametrize("name", ["_val_k5_10_4k.h5", "val_k1_5_4k.h5"])
def test_the_only_file_of_a_split_is_it_whatever_ranges_its_name_says(folder, name):
    (folder / FILES[1]).rename(folder / name)
    found = read_all(poisson(), "validation", folder)
    assert len(found) == COUNTS["validation"]
    np.testing.assert_array_equal(
        found[0].fields, numbered("tcyx", c=2, t=1) + np.float32(WEIGHTS["n"] * 10)
    )


def test_of_two_files_of_a_split_the_published_one_is_taken_or_none(folder):
    (folder / "_val_k5_10_4k.h5").write_bytes(b"")
    assert len(read_all(poisson(), "validation", folder)) == COUNTS["validation"]
    (folder / FILES[1]).rename(folder / "_val_k10_20_4k.h5")
    with pytest.raises(UserError, match="2 other files that say validation; wanted 1"):
        open_raw(poisson(), "validation", folder)


OTHER = {"coefficients": NAMES, "other": "ratio"}


def test_other_is_a_parameter_of_each_sample_within_the_cards_range_or_not(folder):
    with h5py.File(folder / FILES[2], "a") as file:
        file["other"] = np.array([[0.25], [0.5], [1.75]], "f4")
    parameters = {**dict.fromkeys(NAMES, (-1.0, 9.0)), "ratio": (0.2, 1.0)}
    found = read_all(poisson(options=OTHER, parameters=parameters), "test", folder)
    assert [trajectory.parameters["ratio"] for trajectory in found] == [0.25, 0.5, 1.75]


@pytest.mark.parametrize("values", [None, np.zeros((3, 2), "f4"), np.zeros((2, 1), "f4")])
def test_other_of_other_samples_is_refused(folder, values):
    if values is not None:
        with h5py.File(folder / FILES[2], "a") as file:
            file["other"] = values
    with pytest.raises(UserError, match=r"other is \(|/other: no such dataset"):
        read_all(poisson(options=OTHER), "test", folder)


def test_whoever_converts_is_told_that_samples_are_sorted(folder):
    corpus = open_raw(poisson(), "train", folder)
    assert any("sorted by the sparsity" in note for note in corpus.notes)
    corpus.close()


def test_a_card_with_several_frames_is_refused(folder):
    with pytest.raises(UserError, match="has 2 frames, 2 channels"):
        open_raw(poisson(frames=2), "train", folder)
