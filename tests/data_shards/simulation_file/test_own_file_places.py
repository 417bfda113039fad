"""Coordinates are taken where they fit, and what does not fit is said."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from own_files import places, waves, write_arrays

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, Simulation, read_simulation, write_simulation
from data_shards.simulation_file.time_units import is_time, seconds_of

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


def named(path: Path, axes: dict[str, np.ndarray], **about: dict[str, str]) -> Path:
    """PLANE over named axes as netCDF 4 keeps them, with attributes of the coordinates."""
    with h5py.File(path, "w") as file:
        file["u"] = PLANE
        for number, (name, values) in enumerate(axes.items()):
            file[name] = values
            file[name].make_scale(name)
            file[name].attrs.update(about.get(name, {}))
            file["u"].dims[number].attach_scale(file[name])
    return path


@pytest.mark.parametrize(
    "about",
    [
        {"units": "hours since 2024-01-01 00:00:00"},
        {"standard_name": "time"},
        {"axis": "T"},
        {"units": "seconds"},
    ],
)
def test_time_is_found_by_what_is_said_of_it_whatever_its_name(
    about: dict[str, str], tmp_path: Path
) -> None:
    axes = {"valid": 6.0 * np.arange(13), "y": places()["y"], "x": places()["x"]}
    found = read_simulation(named(tmp_path / "cds.nc", axes, valid=about))
    assert (found.times.name, found.layout.axes) == ("valid", "tyx")
    np.testing.assert_array_equal(found.times.values, axes["valid"])
    write_simulation(found, tmp_path / "copy.nc")
    again = read_simulation(tmp_path / "copy.nc")
    assert again.times.attributes == found.times.attributes == about


def test_rows_and_columns_are_found_by_what_is_said_of_them(tmp_path: Path) -> None:
    axes = {"x": 6.0 * np.arange(13), "south_north": places()["y"], "west_east": places()["x"]}
    path = named(
        tmp_path / "odd.nc",
        axes,
        x={"axis": "T"},
        south_north={"units": "degrees_north"},
        west_east={"standard_name": "projection_x_coordinate"},
    )
    found = read_simulation(path)
    assert (found.times.name, found.rows.name) == ("x", "south_north")
    assert found.columns.name == "west_east"


def test_the_time_of_an_axis_is_taken_before_other_times(tmp_path: Path) -> None:
    axes = {"time": 6.0 * np.arange(13), "y": places()["y"], "x": places()["x"]}
    path = named(tmp_path / "flow.nc", axes)
    with h5py.File(path, "r+") as file:
        file["run_time"] = np.arange(3.0)
        file["run_time"].attrs["units"] = "hours since 2024-01-01"
        file["dt"] = [0.5]
        file["dt"].attrs["units"] = "s"
    found = read_simulation(path)
    assert found.times.name == "time"
    np.testing.assert_array_equal(found.times.values, axes["time"])


@pytest.mark.parametrize("unit", ["ns", "s", "h", "D", "M"])
@pytest.mark.parametrize("origin", ["2024-01-31", None])
def test_dates_go_on_as_dates(origin: str | None, unit: str, tmp_path: Path) -> None:
    start = np.timedelta64(0, unit) if origin is None else np.datetime64(origin, unit)
    dates = start + 6 * np.arange(16).astype(f"m8[{unit}]")
    path = write_arrays(tmp_path / "flow.npz", {"u": PLANE, "valid_time": dates[:13]})
    found = read_simulation(path)
    assert found.layout.axes == "tyx"
    np.testing.assert_array_equal(found.times.values, 6.0 * np.arange(13))
    later = replace(
        found,
        fields=found.fields[:3],
        times=replace(found.times, values=found.times.values[-1] + 6.0 * np.arange(1, 4)),
    )
    write_simulation(later, tmp_path / "later.npz")
    with np.load(tmp_path / "later.npz") as file:
        np.testing.assert_array_equal(file["valid_time"], dates[13:])
        assert file["valid_time"].dtype == dates.dtype


def test_a_date_that_is_none_is_no_time(tmp_path: Path) -> None:
    dates = np.arange(13).astype("M8[h]")
    dates[4] = "NaT"
    found = read(tmp_path, t=dates)
    np.testing.assert_array_equal(found.times.values, np.arange(13.0))
    assert any("'t' does not fit: frames are counted" in line for line in found.assumed)


@pytest.mark.parametrize("first", [350.0, 359.0, 170.5])
@pytest.mark.parametrize("low", [0.0, -180.0])
@pytest.mark.parametrize("falling", [False, True])
def test_longitudes_across_a_meridian_are_neighbours_and_stay_where_they_are(
    first: float, low: float, falling: bool, tmp_path: Path
) -> None:
    round_about = (first + np.arange(20.0) - low) % 360 + low
    columns = round_about[::-1] if falling else round_about
    axes = {"time": np.arange(13.0), "lat": places()["y"], "lon": columns}
    path = named(tmp_path / "globe.nc", axes, lon={"units": "degrees_east"})
    found = read_simulation(path)
    np.testing.assert_array_equal(found.fields[:, 0], PLANE[..., ::-1] if falling else PLANE)
    np.testing.assert_allclose(np.diff(found.columns.values), 1.0)
    write_simulation(found, tmp_path / "copy.nc")
    with h5py.File(tmp_path / "copy.nc") as file:
        np.testing.assert_array_equal(file["lon"], columns)
        np.testing.assert_array_equal(file["u"], PLANE)


def test_columns_in_disorder_are_refused_without_an_advice_that_spoils_the_file(
    tmp_path: Path,
) -> None:
    shuffled = places()["x"].copy()
    shuffled[[4, 5]] = shuffled[[5, 4]]
    with pytest.raises(
        UserError, match=r"0\.55 is followed by 0\.45 .*fields in its order together"
    ):
        read(tmp_path, x=shuffled)


@pytest.mark.parametrize(
    ("units", "seconds"),
    [
        ("hours since 1900-01-01", 3600.0), ("minutes since 2000-1-1", 60.0), ("days", 86400.0),
        ("s", 1.0), ("ms", 1e-3), ("min", 60.0), ("months since 2000-1-1", None), ("m/s", None),
        ("", None),
    ],
)  # fmt: skip
def test_units_of_time_are_known_in_seconds(units: str, seconds: float | None) -> None:
    assert seconds_of(units) == seconds


@pytest.mark.parametrize(
    ("units", "known"),
    [("months since 2000-1-1", True), ("seconds", True), ("m", False), ("K", False), ("d", False)],
)
def test_a_metre_is_no_time(units: str, known: bool) -> None:
    assert is_time(units) == known


def test_places_that_vary_in_time_and_ends_of_cells_are_no_channels(tmp_path: Path) -> None:
    axes = {"Time": np.arange(13.0), "south_north": np.arange(12.0), "west_east": np.arange(20.0)}
    path = named(tmp_path / "wrf.nc", axes)
    with h5py.File(path, "r+") as file:
        for name, units in (("XLAT", "degree_north"), ("XLONG", "degree_east")):
            file[name] = PLANE
            file[name].attrs["units"] = units
    found = read_simulation(path, Reading(axes="t,y,x"))
    assert found.channels == ("u",)
    line = {"u": PLANE[:, 0], "t": places()["t"], "x": places()["x"], "t_bnds": np.zeros((13, 2))}
    assert read_simulation(write_arrays(tmp_path / "line.h5", line)).channels == ("u",)
