"""The same simulation comes out of every format, and goes back into it as it was."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from own_files import FORMATS, places, waves, write_arrays, write_waves
from scipy.io import loadmat, netcdf_file

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, read_simulation, write_simulation


def reading(name: str) -> Reading:
    """NPY holds all channels in one array and no coordinates."""
    return Reading(axes="t,c,y,x") if name == "npy" else Reading()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_fields(name: str, dtype: str, tmp_path: Path) -> None:
    found = read_simulation(write_waves(tmp_path / f"flow.{name}", dtype=dtype), reading(name))
    np.testing.assert_array_equal(found.fields, waves())
    assert found.layout.dtype == np.dtype(dtype)
    if name != "npy":
        assert found.channels == ("u0", "u1")
        for letter, place in zip("tyx", (found.times, found.rows, found.columns), strict=True):
            np.testing.assert_allclose(place.values, places()[letter])


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    first = read_simulation(write_waves(tmp_path / f"a.{name}", dtype="f8"), reading(name))
    copy = tmp_path / f"b.{name}"
    write_simulation(first, copy)
    again = read_simulation(copy, reading(name))
    np.testing.assert_array_equal(again.fields, first.fields)
    np.testing.assert_array_equal(again.times.values, first.times.values)
    np.testing.assert_array_equal(again.columns.values, first.columns.values)
    assert again.layout.axes == first.layout.axes
    assert again.layout.dtype == first.layout.dtype
    assert [p.name for p in sorted(tmp_path.iterdir())] == [f"a.{name}", f"b.{name}"]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "npy"])
def test_numbers_of_frames_lie_beside_the_fields_and_are_no_channel(
    name: str, tmp_path: Path
) -> None:
    first = read_simulation(write_waves(tmp_path / f"a.{name}"))
    errors = np.linspace(0.1, 0.9, len(first.fields))
    errors[-2:] = np.nan
    copy = tmp_path / f"b.{name}"
    write_simulation(replace(first, by_frame={"forecast_error": errors}), copy)
    again = read_simulation(copy)
    np.testing.assert_array_equal(again.fields, first.fields)
    assert again.channels == first.channels
    np.testing.assert_array_equal(_raw(copy, "forecast_error"), errors)


def _raw(path: Path, name: str) -> np.ndarray:
    """An array as the format's own library reads it."""
    if path.name.endswith(".npz"):
        with np.load(path) as file:
            return file[name]
    if path.name.endswith(".classic.nc"):
        with netcdf_file(str(path), mmap=False) as file:
            return file.variables[name][:]
    if path.name.endswith(".mat") and not path.name.endswith(".v73.mat"):
        return loadmat(path)[name].ravel()
    with h5py.File(path) as file:
        return file[name][()].ravel()


@pytest.mark.parametrize("axes", ["t,y,x,c", "c,t,y,x", "x,y,t,c", "y,c,x,t"])
def test_any_order_of_axes_gives_the_same_fields(axes: str, tmp_path: Path) -> None:
    order = ["tcyx".index(letter) for letter in axes.split(",")]
    path = write_arrays(tmp_path / "flow.npy", {"u": waves().transpose(order)})
    found = read_simulation(path, Reading(axes=axes))
    np.testing.assert_array_equal(found.fields, waves())
    write_simulation(found, tmp_path / "copy.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "copy.npy"), np.load(path))


def test_exchanged_axes_give_exchanged_planes(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flow.npz", {"u": waves(channels=1)[:, 0]})
    straight = read_simulation(path, Reading(axes="t,y,x"))
    exchanged = read_simulation(path, Reading(axes="t,x,y"))
    np.testing.assert_array_equal(exchanged.fields, straight.fields.swapaxes(2, 3))


def test_a_sample_is_read_alone_and_stays_a_sample(tmp_path: Path) -> None:
    runs = np.stack([waves(channels=1)[:, 0] + number for number in range(9)])
    path = write_arrays(tmp_path / "runs.h5", {"u": runs, **places()})
    found = read_simulation(path, Reading(sample=2))
    np.testing.assert_array_equal(found.fields[:, 0], runs[2])
    assert any("run 0 of 9" in line for line in read_simulation(path).assumed)
    write_simulation(found, tmp_path / "one.h5")
    with h5py.File(tmp_path / "one.h5") as file:
        assert file["u"].shape == (1, *runs.shape[1:])
    with pytest.raises(UserError, match="--sample 9, it holds 9"):
        read_simulation(path, Reading(sample=9))


def test_rows_that_fall_are_turned_round_and_back(tmp_path: Path) -> None:
    arrays = {"u": waves(channels=1)[:, 0], **places()}
    falling = {"u": arrays["u"][:, ::-1], **places(), "y": places()["y"][::-1]}
    up = read_simulation(write_arrays(tmp_path / "up.h5", arrays))
    down = read_simulation(write_arrays(tmp_path / "down.h5", falling))
    np.testing.assert_array_equal(down.fields, up.fields)
    np.testing.assert_array_equal(down.rows.values, up.rows.values)
    write_simulation(down, tmp_path / "copy.h5")
    with h5py.File(tmp_path / "copy.h5") as file:
        np.testing.assert_array_equal(file["u"], falling["u"])
        np.testing.assert_array_equal(file["y"], falling["y"])


def test_planes_of_a_mesh_are_coordinates(tmp_path: Path) -> None:
    x, y = np.meshgrid(places()["x"], places()["y"])
    arrays = {"u": waves(channels=1)[:, 0], "X": x, "Y": y, "t": places()["t"]}
    found = read_simulation(write_arrays(tmp_path / "flow.mat", arrays))
    np.testing.assert_array_equal(found.columns.values, places()["x"])
    np.testing.assert_array_equal(found.rows.values, places()["y"])


def test_names_of_dimensions_units_and_packing_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "era.nc"
    with netcdf_file(str(path), "w") as file:
        for name, size in (("lon", 12), ("time", 12), ("lat", 12)):
            file.createDimension(name, size)
        packed = file.createVariable("t2m", "i2", ("time", "lon", "lat"))
        packed[:] = np.arange(12**3).reshape(12, 12, 12)
        packed.scale_factor, packed.add_offset, packed.units = 0.5, 200.0, "K"
    found = read_simulation(path)
    assert found.layout.axes == "txy"
    wanted = 200 + 0.5 * np.arange(12**3).reshape(12, 12, 12).swapaxes(1, 2)
    np.testing.assert_array_equal(found.fields[:, 0], wanted)
    write_simulation(found, tmp_path / "copy.nc")
    with netcdf_file(str(tmp_path / "copy.nc"), mmap=False) as file:
        assert file.variables["t2m"].dimensions == ("time", "lon", "lat")
        assert file.variables["t2m"].units == b"K"


def test_scales_of_hdf5_name_axes(tmp_path: Path) -> None:
    path = tmp_path / "flow.nc"
    with h5py.File(path, "w") as file:
        file["velocity"] = waves(channels=1)[:, 0].transpose(2, 0, 1)
        for axis, (name, values) in enumerate(
            [("lon", places()["x"]), ("time", places()["t"]), ("lat", places()["y"])]
        ):
            file[name] = values
            file[name].make_scale(name)
            file["velocity"].dims[axis].attach_scale(file[name])
    found = read_simulation(path)
    np.testing.assert_array_equal(found.fields, waves(channels=1))
    write_simulation(found, tmp_path / "copy.nc")
    assert read_simulation(tmp_path / "copy.nc").layout.axes == "xty"


def test_the_file_says_its_boundary_unless_it_is_told(tmp_path: Path) -> None:
    arrays = {"u": waves(channels=1)[:, 0], **places()}
    path = write_arrays(tmp_path / "flow.h5", arrays, boundary="Periodic")
    assert read_simulation(path).periodic == (True, True)
    assert read_simulation(path, Reading(boundary="periodic-x")).periodic == (False, True)
    silent = read_simulation(write_arrays(tmp_path / "silent.h5", arrays))
    assert silent.boundary == "edge"
    assert any(line.startswith("boundary:") for line in silent.assumed)


@pytest.mark.parametrize("name", ["h5", "npz", "mat", "v73.mat", "classic.nc"])
def test_a_mask_is_found_named_or_given_as_a_file(name: str, tmp_path: Path) -> None:
    mask = np.ones((12, 20), np.int8)
    mask[3:5, 7:12] = 0
    arrays = {"u": waves(channels=1)[:, 0], **places()}
    own = write_arrays(tmp_path / f"own.{name}", {**arrays, "mask": mask})
    np.testing.assert_array_equal(read_simulation(own).mask, mask)
    other = write_arrays(tmp_path / f"other.{name}", {**arrays, "where": mask})
    assert read_simulation(other).mask is None
    np.testing.assert_array_equal(read_simulation(other, Reading(mask="where")).mask, mask)
    np.save(tmp_path / "m.npy", mask.astype(bool))
    told = Reading(mask=str(tmp_path / "m.npy"))
    np.testing.assert_array_equal(read_simulation(other, told).mask, mask)
    write_simulation(read_simulation(own), tmp_path / f"copy.{name}")
    np.testing.assert_array_equal(read_simulation(tmp_path / f"copy.{name}").mask, mask)


def test_a_mask_that_leaves_little_fluid_is_wondered_at(tmp_path: Path) -> None:
    obstacle = np.zeros((12, 20), bool)
    obstacle[3:5, 7:12] = True  # the other way round: 1 in the solid
    arrays = {"u": waves(channels=1)[:, 0], **places()}
    for mask, wondered in ((obstacle, True), (~obstacle, False)):
        path = write_arrays(tmp_path / f"{wondered}.npz", {**arrays, "mask": mask})
        assumed = " ".join(read_simulation(path).assumed)
        told = "96% of the cells are solid; if it is the other way round, --mask 1-mask"
        assert (told in assumed) == wondered
        opposite = read_simulation(path, Reading(mask="1-mask"))
        np.testing.assert_array_equal(opposite.mask, ~mask)


def test_a_mask_lies_and_turns_as_its_fields_do(tmp_path: Path) -> None:
    mask = np.ones((12, 20), np.uint8)
    mask[1:4, 2:9] = 0
    upright = {"u": waves(channels=1)[:, 0] * mask, "mask": mask, **places()}
    falling = {name: places()[name][::-1] for name in "yx"} | {"t": places()["t"]}
    turned = {"u": upright["u"].swapaxes(1, 2)[:, ::-1, ::-1], "mask": mask.T[::-1, ::-1]}
    path = write_arrays(tmp_path / "turned.npz", turned | falling)
    found = read_simulation(path)
    np.testing.assert_array_equal(found.mask, mask)
    np.testing.assert_array_equal(found.fields[:, 0], upright["u"])
    write_simulation(found, tmp_path / "copy.npz")
    with np.load(tmp_path / "copy.npz") as copy:
        np.testing.assert_array_equal(copy["mask"], turned["mask"])
        np.testing.assert_array_equal(copy["u"], turned["u"])


def test_channels_are_chosen_ordered_and_named(tmp_path: Path) -> None:
    path = write_waves(tmp_path / "flow.npz", waves(channels=3))
    assert read_simulation(path).channels == ("u0", "u1", "u2")
    chosen = read_simulation(path, Reading(channels=("u2", "u0")))
    np.testing.assert_array_equal(chosen.fields, waves(channels=3)[:, [2, 0]])
    whole = write_arrays(tmp_path / "all.npy", {"f": waves(channels=3).transpose(0, 2, 3, 1)})
    named = read_simulation(whole, Reading(axes="t,y,x,c", channels=("a", "b", "c")))
    assert named.channels == ("a", "b", "c")
    assert "array 'all' is given the names of --channels" in named.assumed


def test_channels_stand_in_the_order_of_the_file_and_else_of_their_numbers(tmp_path: Path) -> None:
    arrays = {f"u{n}": waves(channels=1)[:, 0] for n in (10, 2, 1)} | places()
    for name in ("npz", "mat", "classic.nc"):
        found = read_simulation(write_arrays(tmp_path / f"flow.{name}", arrays))
        assert found.channels == ("u10", "u2", "u1")
    found = read_simulation(write_arrays(tmp_path / "flow.h5", arrays))  # knows names only
    assert found.channels == ("u1", "u2", "u10")
    with h5py.File(tmp_path / "kept.h5", "w", track_order=True) as file:
        for name, values in arrays.items():
            file[name] = values
    assert read_simulation(tmp_path / "kept.h5").channels == ("u10", "u2", "u1")


def test_a_level_of_one_entry_is_no_third_dimension(tmp_path: Path) -> None:
    path = tmp_path / "ocean.nc"
    sizes = {"time": 13, "depth": 1, "lat": 12, "lon": 20}
    with netcdf_file(str(path), "w") as file:
        for name, size in sizes.items():
            file.createDimension(name, size)
        file.createVariable("sst", "f4", tuple(sizes))[:] = waves(channels=1)
        file.createVariable("depth", "f4", ("depth",))[:] = 5.0
    np.testing.assert_array_equal(read_simulation(path).fields, waves(channels=1))


def test_a_field_called_as_a_coordinate_is_written_beside_one(tmp_path: Path) -> None:
    for name in ("h5", "nc", "npz", "mat"):
        path = write_arrays(tmp_path / f"flow.{name}", {"t": waves(channels=1)[:, 0]})
        found = read_simulation(path, Reading(axes="t,y,x"))
        write_simulation(found, tmp_path / f"copy.{name}")
        again = read_simulation(tmp_path / f"copy.{name}", Reading(axes="t,y,x"))
        np.testing.assert_array_equal(again.fields, found.fields)


def test_arrays_in_groups_are_known_by_their_paths(tmp_path: Path) -> None:
    arrays = {
        "t0_fields/density": waves(channels=1)[None, :, 0],
        "t1_fields/velocity": np.stack([waves(channels=1)[None, :, 0]] * 2, axis=-1),
        **{f"dimensions/{name}": values for name, values in places().items()},
    }
    path = write_arrays(tmp_path / "well.hdf5", arrays)
    with pytest.raises(UserError, match="several shapes"):
        read_simulation(path)
    found = read_simulation(path, Reading(channels=("t1_fields/velocity",)))
    assert found.channels == ("velocity_0", "velocity_1")
    write_simulation(found, tmp_path / "copy.hdf5")
    np.testing.assert_array_equal(read_simulation(tmp_path / "copy.hdf5").fields, found.fields)
