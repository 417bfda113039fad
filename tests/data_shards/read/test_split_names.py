"""Laws of splits by name: what is named after one split never serves another."""

from pathlib import Path
from typing import get_args

import h5py
import numpy as np
import pytest
from bare_card import bare_card
from published_files import COLUMNS, FRAMES, ROWS, numbered
from well_files import CELLS, write_well
from well_files import FRAMES as WELL_FRAMES

from data_shards.card import Split
from data_shards.errors import UserError
from data_shards.read import open_raw
from data_shards.read.split_name import named_split

SPLITS = get_args(Split)
GRID = (ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("toy_train.hdf5", "train"),
        ("_val_k1_5_4k.h5", "validation"),
        ("NavierStokes2D-Valid.seed.1.h5", "validation"),
        ("toy validation.h5", "validation"),
        ("toy.test.h5", "test"),
        ("test/data_0.hdf5", "test"),
        ("toy_train/piece/data_0.hdf5", "train"),
        ("train/toy_test.hdf5", "test"),  # the nearer one
        ("testing_values.h5", None),
        ("latest.h5", None),
        ("train_test_split.h5", None),
        ("test_of_my_disk/toy.h5", None),
        ("test/a/b/toy.h5", None),
    ],
)
def test_a_split_is_a_whole_word_of_a_name(path, split):
    assert named_split(Path("/nowhere") / path) == split


def elliptic(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["fields"] = numbered("ncyx", n=2, c=2)
        file["tensor"] = np.zeros((2, 3), "f4")
    return bare_card("toy", "elliptic", ("source", "u"), 1, GRID)


def processed(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["data"] = np.stack([numbered("xytc", c=2, t=FRAMES)] * 2)
    return bare_card("toy", "processed", ("a", "b"), FRAMES, GRID)


def well(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_well(path, 2)
    return well_card()


def well_card():
    return bare_card("toy", "the_well", ("density",), WELL_FRAMES, (CELLS["y"], CELLS["x"]),
                     dt_s=None, extent=None, boundary=None)  # fmt: skip


def scattered(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(2):
        with h5py.File(folder / f"data_{number}.hdf5", "w") as file:
            file["data"] = numbered("xytc", c=2, t=FRAMES)
    return bare_card("toy", "processed", ("a", "b"), FRAMES, GRID)


def well_folder(folder):
    well(folder / "toy.hdf5")
    return well_card()


def known(card, split, path):
    corpus = open_raw(card, split, path)
    corpus.close()
    return corpus.split_known


@pytest.mark.parametrize("write", [elliptic, processed, well])
@pytest.mark.parametrize("name", ["toy_test_1.h5", "test/toy.h5", "toy_test/toy.h5"])
def test_a_file_named_after_a_split_serves_no_other(tmp_path, write, name):
    card = write(tmp_path / name)
    assert known(card, "test", tmp_path / name)
    for split in ("train", "validation"):
        with pytest.raises(UserError, match=f"it is the test split, wanted {split}") as caught:
            open_raw(card, split, tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("write", [scattered, well_folder])
def test_a_folder_named_after_a_split_serves_no_other(tmp_path, write):
    card = write(tmp_path / "toy_val")
    assert known(card, "validation", tmp_path / "toy_val")
    for split in ("train", "test"):
        with pytest.raises(UserError, match=f"it is the validation split, wanted {split}"):
            open_raw(card, split, tmp_path / "toy_val")


@pytest.mark.parametrize("write", [elliptic, processed, well])
def test_a_file_that_says_no_split_is_told_apart(tmp_path, write):
    card = write(tmp_path / "mine.h5")
    assert not any(known(card, split, tmp_path / "mine.h5") for split in SPLITS)


@pytest.mark.parametrize("write", [scattered, well_folder])
def test_a_folder_that_says_no_split_is_told_apart(tmp_path, write):
    card = write(tmp_path / "mine")
    assert not any(known(card, split, tmp_path / "mine") for split in SPLITS)


def test_layouts_and_slices_know_their_splits(tmp_path):
    scattered(tmp_path / "a/train")
    assert known(scattered(tmp_path / "a/test"), "test", tmp_path / "a")
    processed(tmp_path / "b/toy_train.hdf5")
    assert known(processed(tmp_path / "b/toy_test.hdf5"), "test", tmp_path / "b")
    assert known(well_folder(tmp_path / "c/data/valid"), "validation", tmp_path / "c")


def test_names_in_a_flat_folder_choose_the_files_of_the_well(tmp_path):
    for name in ("a_train.hdf5", "b_train.hdf5", "a_test.hdf5"):
        card = well(tmp_path / name)
    for split, count in {"train": 4, "test": 2}.items():
        corpus = open_raw(card, split, tmp_path)
        assert (len(corpus), corpus.split_known) == (count, True)
        corpus.close()
    with pytest.raises(UserError, match="holds no data/valid"):
        open_raw(card, "validation", tmp_path)
    well(tmp_path / "c.hdf5")
    with pytest.raises(UserError, match="its name says no split"):
        open_raw(card, "train", tmp_path)
