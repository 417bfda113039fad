"""A file is read in another process as in this one; whatever it does there, this one goes on."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from own_files import write_waves

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, read_simulation
from data_shards.simulation_file.apart import read_apart


class _Bomb:
    """Brings down whoever unpickles it, as a library does that a file has crashed."""

    def __reduce__(self) -> Any:
        return os.abort, ()


def test_the_same_simulation_comes_back(tmp_path: Path) -> None:
    path = write_waves(tmp_path / "flow.h5")
    reading = Reading(boundary="periodic")
    here, apart = read_simulation(path, reading), read_apart(path, reading)
    np.testing.assert_array_equal(apart.fields, here.fields)
    assert (apart.channels, apart.assumed, apart.layout) == (
        here.channels,
        here.assumed,
        here.layout,
    )


def _announced_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:  # of which not one number is stored
        file.create_dataset("u", (16, 1 << 15, 1 << 15), "f4", chunks=(1, 64, 64))


def _zip_bomb(path: Path) -> None:
    head = io.BytesIO()
    layout = {"descr": "<f4", "fortran_order": False, "shape": (16, 1 << 15, 1 << 15)}
    np.lib.format.write_array_header_1_0(head, layout)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("u.npy", head.getvalue() + bytes(1 << 20))


@pytest.mark.parametrize(("name", "write"), [("a.h5", _announced_hdf5), ("a.npz", _zip_bomb)])
def test_what_asks_for_all_memory_gets_none(name: str, write: Any, tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(UserError, match=r"memory|to read|allocate"):
        read_apart(tmp_path / name, Reading(axes="t,y,x"))


def test_a_crash_and_an_endless_reading_are_one_line(tmp_path: Path) -> None:
    path = write_waves(tmp_path / "flow.h5")
    with pytest.raises(UserError, match="brought its reader down"):
        read_apart(path, _Bomb())  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"longer than 0\.01 s"):
        read_apart(path, Reading(), seconds=0.01)


def test_a_mask_from_afar_is_no_file_of_this_machine(tmp_path: Path) -> None:
    path = write_waves(tmp_path / "flow.h5")
    np.save(tmp_path / "mask.npy", np.ones((12, 20), np.float32))
    mask = str(tmp_path / "mask.npy")
    assert read_simulation(path, Reading(mask=mask)).mask is not None
    with pytest.raises(UserError, match="unknown array"):
        read_simulation(path, Reading(mask=mask, mask_files=False))
