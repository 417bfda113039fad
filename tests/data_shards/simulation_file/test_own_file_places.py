"""Coordinates are taken where they fit, and what does not fit is said."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from own_files import places, waves, write_arrays

from data_shards.simulation_file import Reading, Simulation, read_simulation, write_simulation

PLANE = waves(channels=1)[:, 0]


def read(folder: Path, **arrays: np.ndarray) -> Simulation:
    path = write_arrays(folder / "flow.npz", {"u": PLANE, **places(), **arrays})
    return read_simulation(path, Reading(axes="t,y,x"))


def test_coordinates_that_fit_are_taken_in_silence(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.extent == pytest.approx((0, 2, 0, 1))
    assert len(found.assumed) == 1  # the boundary


def test_ends_of_cells_become_centres_and_ends_of_intervals_their_begin(tmp_path: Path) -> None:
    ends = {"x": np.linspace(0, 2, 21), "t": np.arange(14.0)}
    found = read(tmp_path, **ends)
    np.testing.assert_allclose(found.columns.values, places()["x"])
    np.testing.assert_array_equal(found.times.values, np.arange(13.0))


def test_uneven_steps_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, x=np.linspace(0, 1, 20) ** 2)
    assert any("'x' is uneven" in line for line in found.assumed)


@pytest.mark.parametrize("values", [np.arange(7.0), np.full(20, np.nan), np.zeros(20)])
def test_what_does_not_fit_is_counted_instead(values: np.ndarray, tmp_path: Path) -> None:
    found = read(tmp_path, x=values)
    np.testing.assert_array_equal(found.columns.values, np.arange(20))
    assert any("'x' does not fit: columns are counted" in line for line in found.assumed)


def test_two_coordinates_of_different_lengths_are_no_coordinate(tmp_path: Path) -> None:
    found = read(tmp_path, longitude=np.arange(7.0))
    np.testing.assert_array_equal(found.columns.values, np.arange(20))


def test_mere_lengths_of_netcdf_still_tell_axes(tmp_path: Path) -> None:
    path = tmp_path / "flow.nc"
    with h5py.File(path, "w") as file:
        file["u"] = PLANE.transpose(2, 0, 1)
        for axis, (name, size) in enumerate((("x", 20), ("time", 13), ("y", 12))):
            file[name] = np.zeros(size, "f4")  # as netCDF keeps a dimension without a variable
            file[name].make_scale("This is a netCDF dimension but not a netCDF variable")
            file["u"].dims[axis].attach_scale(file[name])
    found = read_simulation(path)
    np.testing.assert_array_equal(found.fields[:, 0], PLANE)
    np.testing.assert_array_equal(found.times.values, np.arange(13))


def test_words_about_coordinates_and_fields_stay(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flow.h5", {"u": PLANE, **places()})
    with h5py.File(path, "r+") as file:
        file["u"].attrs["units"], file["t"].attrs["units"] = "m/s", "s"
    write_simulation(read_simulation(path), tmp_path / "copy.h5")
    with h5py.File(tmp_path / "copy.h5") as file:
        assert (file["u"].attrs["units"], file["t"].attrs["units"]) == ("m/s", "s")
        assert file["u"].dims[0][0].name == "/t"
