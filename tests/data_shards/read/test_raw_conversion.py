"""Law: what these readers give passes the writer, and NaN among it does not."""

import h5py
import numpy as np
import pytest
from bare_card import bare_card
from cfdbench_files import GRID, tree_of, unpack
from published_files import COLUMNS, ROWS, numbered
from well_files import CELLS, FRAMES, write_well

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.read import open_raw
from data_shards.read.convert import convert
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.verify import verify


def cfdbench(folder):
    unpack(tree_of({"cylinder": {"prop": [8] * 5}}), folder)
    card = load_card("cfdbench")
    options = {"problems": ["cylinder"], "subsets": ["prop"]}
    published = card.published.model_copy(update={"options": options})
    sizes = {"frames": 4, "context_frames": 2, "rollout_frames": 2}
    grid = (GRID["y"], GRID["x"])
    return card.model_copy(update={"published": published, "native_grid": grid, **sizes})


def well(folder):
    write_well(folder / "data/train/a.hdf5", 3, axes="xyz")
    grid = (CELLS["z"], CELLS["y"], CELLS["x"])
    return bare_card("toy", "the_well", ("density", "c"), FRAMES, grid, extent=None, dt_s=None)


def steady(folder):
    with h5py.File(folder / "_train_x.h5", "w") as file:
        file["fields"] = numbered("ncyx", n=3, c=2)
        file["tensor"] = np.zeros((3, 3), "f4")
    files = ("_train_x.h5",)
    return bare_card("steady", "elliptic", ("source", "u"), 1, (ROWS, COLUMNS), files=files)


@pytest.mark.parametrize(("make", "count"), [(cfdbench, 8), (well, 3), (steady, 3)])
def test_raw_files_become_shards_that_hold_their_trajectories(tmp_path, make, count):
    raw = tmp_path / "raw"
    raw.mkdir()
    card = make(raw)
    entry = convert(card, "train", raw, tmp_path / "shards")
    assert entry.count == count
    assert entry.provenance.producer == card.published.reader
    assert verify(tmp_path / "shards").ok
    written = ShardedCorpus.open(tmp_path / "shards", card.name, "train")
    source = open_raw(card, "train", raw)
    for number in range(count):
        ours, theirs = written.trajectory(number), source.read(number)
        np.testing.assert_array_equal(ours.fields, theirs.fields)
        np.testing.assert_array_equal(ours.full_mask, theirs.full_mask)
        for known in ("index", "seed", "dt_s", "extent", "boundary", "parameters"):
            assert getattr(ours, known) == getattr(theirs, known)
    source.close()


def test_raw_files_are_named_from_the_folder_that_was_given_and_folders_by_all_they_hold(tmp_path):
    card = well(tmp_path / "well")
    entry = convert(card, "train", tmp_path / "well", tmp_path / "shards")
    assert [source.name for source in entry.provenance.sources] == ["data/train/a.hdf5"]
    card = cfdbench(tmp_path / "cfd")
    entry = convert(card, "train", tmp_path / "cfd", tmp_path / "shards")
    files = [path for path in (tmp_path / "cfd").rglob("*") if path.is_file()]
    assert sum(source.bytes for source in entry.provenance.sources) == sum(
        path.stat().st_size for path in files
    )
    for source in entry.provenance.sources:
        assert source.name.startswith("cylinder/")
        assert (tmp_path / "cfd" / source.name).is_dir() == source.name.endswith("/")


def test_numbers_that_are_none_are_refused_by_the_writer(tmp_path):
    card = well(tmp_path)
    with h5py.File(tmp_path / "data/train/a.hdf5", "a") as file:
        file["t0_fields/density"][1, 2, 0, 0, 0] = np.nan
    with pytest.raises(UserError, match=r"toy trajectory 1: .*not finite"):
        convert(card, "train", tmp_path, tmp_path / "shards")
