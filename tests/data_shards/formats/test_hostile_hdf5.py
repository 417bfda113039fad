"""Laws of HDF5 files from strangers: they show nothing of other files, and ask for no memory."""

import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from bare_card import bare_card
from published_files import (
    COLUMNS,
    FRAMES,
    ROWS,
    numbered,
    small_card,
    write_cns,
    write_mat73,
    write_swe,
)
from well_files import CELLS, write_well
from well_files import FRAMES as WELL_FRAMES

from data_shards.card import PublishedFiles
from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.formats.hdf5 import MOST_ENTRIES
from data_shards.read import open_raw
from data_shards.read.the_well import draft_card

GRID = (ROWS, COLUMNS)
SPLITS = {"train": (0, 3)}
ANNOUNCED = 2**38  # numbers, of which not one is stored


def cns(path):
    write_cns(path, 4)
    return small_card("pdebench_cns_m0.1", SPLITS)


def swe(path):
    write_swe(path, 4)
    return small_card("pdebench_swe", SPLITS)


def fno(path):
    write_mat73(path, 4)
    return small_card("fno_ns_1e-3", SPLITS)


def elliptic(path):
    with h5py.File(path, "w") as file:
        file["fields"] = numbered("ncyx", n=4, c=2)
        file["tensor"] = np.zeros((4, 3), "f4")
    return bare_card("toy", "elliptic", ("source", "u"), 1, GRID)


def processed(path):
    with h5py.File(path, "w") as file:
        file["data"] = numbered("nxytc", n=4, c=2)
    return bare_card("toy", "processed", ("a", "b"), FRAMES, GRID)


def wave(path):
    with h5py.File(path, "w") as file:
        file["solution"] = numbered("ntxy", n=4)
    return small_card("wave_layer", SPLITS)


def pdearena(path):
    with h5py.File(path, "w") as file:
        data = file.create_group("train")
        for channel, name in enumerate(("vx", "vy", "u")):
            data[name] = numbered("ntxy", channel, n=4)
        for name, cells in {"x": COLUMNS, "y": ROWS}.items():
            data[name] = np.tile(np.linspace(0, 32, cells), (4, 1))
        data["dt"], data["buo_y"] = np.full(4, 6.0), np.full(4, 0.5)
    sizes = {"native_grid": GRID, "frames": FRAMES}
    return load_card("pdearena_ns").model_copy(update=sizes)


def well(path):
    write_well(path, 4)
    return bare_card("toy", "the_well", ("density",), WELL_FRAMES, (CELLS["y"], CELLS["x"]),
                     dt_s=None, extent=None, boundary=None, parameters={"tcool": (0.0, 9.0)},
                     published=PublishedFiles(reader="the_well"))  # fmt: skip


DATASETS = [
    (cns, "density"),
    (cns, "t-coordinate"),
    (swe, "0001/data"),
    (swe, "0001/grid/x"),
    (fno, "u"),
    (fno, "t"),
    (elliptic, "fields"),
    (elliptic, "tensor"),
    (processed, "data"),
    (wave, "solution"),
    (pdearena, "train/u"),
    (pdearena, "train/dt"),
    (pdearena, "train/x"),
    (well, "t0_fields/density"),
    (well, "dimensions/x"),
    (well, "boundary_conditions/x_periodic/mask"),
    (well, "scalars/tcool"),
]


def read_all(card, path):
    corpus = open_raw(card, "train", path)
    try:
        return [corpus.read(number) for number in range(len(corpus))]
    finally:
        corpus.close()


def refusal(card, path):
    with pytest.raises(UserError) as caught:
        read_all(card, path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def linked(file, name, secret):
    del file[name]
    file[name] = h5py.ExternalLink(str(secret), name)


def virtual(file, name, secret):
    old = file[name]
    attributes = dict(old.attrs)
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[...] = h5py.VirtualSource(str(secret), name, old.shape)
    del file[name]
    file.create_virtual_dataset(name, layout).attrs.update(attributes)


def external(file, name, secret):
    old = file[name]
    attributes, shape, dtype = dict(old.attrs), old.shape or (1,), old.dtype
    del file[name]
    new = file.create_dataset(name, shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    new.attrs.update(attributes)


@pytest.mark.parametrize("borrow", [linked, virtual, external])
@pytest.mark.parametrize(("write", "name"), DATASETS)
def test_numbers_of_another_file_are_never_read(tmp_path, write, name, borrow):
    path, secret = tmp_path / "given.h5", tmp_path / "secret.h5"
    card = write(path)
    assert read_all(card, path)
    shutil.copy(path, secret)
    with h5py.File(path, "r+") as file:
        borrow(file, name, secret)
    message = refusal(card, path)
    assert name in message
    assert "is taken from another file; do not trust this file" in message


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (swe, "0001"),
        (swe, "0001/grid"),
        (pdearena, "train"),
        (well, "t0_fields"),
        (well, "scalars"),
    ],
)
def test_groups_of_another_file_are_never_read(tmp_path, write, name):
    path, secret = tmp_path / "given.h5", tmp_path / "secret.h5"
    card = write(path)
    shutil.copy(path, secret)
    with h5py.File(path, "r+") as file:
        linked(file, name, secret)
    assert "is taken from another file; do not trust this file" in refusal(card, path)


def test_a_file_that_links_within_itself_is_read(tmp_path):
    path = tmp_path / "given.h5"
    card = cns(path)
    with h5py.File(path, "r+") as file:
        file.move("density", "rho")
        file["density"] = h5py.SoftLink("/rho")
    assert len(read_all(card, path)) == 3


def announce(path, name, shape):
    """Replace a dataset by one that takes no room and claims to be enormous."""
    with h5py.File(path, "r+") as file:
        attributes, dtype = dict(file[name].attrs), file[name].dtype
        del file[name]
        file.create_dataset(
            name, shape, dtype, chunks=(1,) * (len(shape) - 1) + (min(1024, shape[-1]),)
        )
        file[name].attrs.update(attributes)


@pytest.mark.parametrize(
    ("write", "name", "shape"),
    [
        (cns, "t-coordinate", (ANNOUNCED,)),
        (cns, "x-coordinate", (ANNOUNCED,)),
        (swe, "0001/grid/t", (ANNOUNCED,)),
        (swe, "0001/grid/y", (ANNOUNCED,)),
        (fno, "t", (1, ANNOUNCED)),
        (fno, "u", (ANNOUNCED, ROWS, COLUMNS, 4)),
        (pdearena, "train/x", (4, ANNOUNCED)),
        (well, "dimensions/time", (ANNOUNCED,)),
        (well, "dimensions/x", (ANNOUNCED,)),
        (well, "boundary_conditions/x_periodic/mask", (ANNOUNCED,)),
        (well, "scalars/tcool", (ANNOUNCED,)),
    ],
)
def test_what_only_claims_to_be_enormous_is_refused_unread(tmp_path, write, name, shape):
    path = tmp_path / "given.h5"
    card = write(path)
    announce(path, name, shape)
    tracemalloc.start()
    refusal(card, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_ENTRIES


def test_a_draft_of_a_card_reads_no_enormous_axis(tmp_path):
    path = tmp_path / "given.h5"
    well(path)
    announce(path, "dimensions/time", (ANNOUNCED,))
    with pytest.raises(UserError, match="wanted 16777216 at most; do not trust this file"):
        draft_card(path, "toy")


def test_padding_of_a_prepared_file_is_not_read_however_wide(tmp_path):
    (tmp_path / "train").mkdir()
    path = tmp_path / "train/data_0.hdf5"
    with h5py.File(path, "w") as file:
        shape = (COLUMNS, ROWS, FRAMES)
        data = file.create_dataset("data", (*shape, ANNOUNCED), "f4", chunks=(*shape, 2))
        data[..., :2] = numbered("xytc", c=2)
    (trajectory,) = read_all(bare_card("toy", "processed", ("a", "b"), FRAMES, GRID), tmp_path)
    np.testing.assert_array_equal(trajectory.fields, numbered("tcyx", c=2))


def test_a_group_of_more_digits_than_python_reads_is_no_number(tmp_path):
    path = tmp_path / "given.h5"
    card = swe(path)
    before = len(read_all(card, path))
    with h5py.File(path, "r+") as file:
        file.create_group("1" * 5000)
    assert len(read_all(card, path)) == before
