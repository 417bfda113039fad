"""What cannot be read is refused in one line that says what to do; nothing is overwritten."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from own_files import FORMATS, places, waves, write_arrays, write_waves

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, read_simulation, write_simulation
from data_shards.simulation_file.arrays import open_arrays

PLANE = waves(channels=1)[:, 0]


def refused(path: Path, fault: str, reading: Reading | None = None) -> None:
    with pytest.raises(UserError, match=fault) as caught:
        read_simulation(path, reading)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0, 3, 200])
def test_a_file_that_is_cut_short_is_refused(name: str, kept: int, tmp_path: Path) -> None:
    path = write_waves(tmp_path / f"flow.{name}")
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, "damaged|neither|empty|cut short|not a|no MATLAB|no frames")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_whose_end_is_missing_is_refused(name: str, tmp_path: Path) -> None:
    path = write_waves(tmp_path / f"flow.{name}")
    path.write_bytes(path.read_bytes()[: -(path.stat().st_size // 2)])
    refused(path, "damaged|neither|cut short")


@pytest.mark.parametrize("name", ["h5", "npz", "npy", "mat", "v73.mat"])
@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (PLANE.astype(np.complex128), "complex|no frames"),
        (PLANE.astype(np.int32), "int32, wanted floating-point"),
        (PLANE[:, 0, 0], "no frames of planes"),
        (PLANE[:, 0], "no frames of planes.*--axes t,x .13 frames of a line of 20"),
        (np.where(PLANE > 2.3, np.nan, PLANE), "nan in channel"),
        (np.where(PLANE > 2.3, np.inf, PLANE), "inf in channel"),
    ],
)
def test_other_than_finite_floating_point_planes_are_refused(
    name: str, values: np.ndarray, fault: str, tmp_path: Path
) -> None:
    path = write_arrays(tmp_path / f"flow.{name}", {"u": values})
    axes = "t,y,x" if values.ndim == 3 else None
    refused(path, fault, Reading(axes=axes))


@pytest.mark.parametrize("name", ["npz", "npy"])
def test_python_objects_are_never_unpickled(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"flow.{name}"
    values = np.array([[[{"a": 1}]]], dtype=object)
    np.savez(path, u=values) if name == "npz" else np.save(path, values, allow_pickle=True)
    refused(path, "Python objects")


@pytest.mark.parametrize("name", ["h5", "npz", "npy"])
def test_empty_arrays_are_refused(name: str, tmp_path: Path) -> None:
    refused(write_arrays(tmp_path / f"flow.{name}", {"u": PLANE[:0]}), "empty")


def test_values_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flow.npy", {"u": PLANE.astype("f8") * 1e200})
    refused(path, "32 bits", Reading(axes="t,y,x"))


def test_three_dimensions_of_space_are_refused(tmp_path: Path) -> None:
    box = np.zeros((13, 8, 12, 20), np.float32)
    path = write_arrays(tmp_path / "box.h5", {"u": box, **places(), "z": np.arange(8.0)})
    refused(path, "three dimensions of space")


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flow.h5", {"speed": PLANE, "density": PLANE, **places()})
    refused(path, "did you mean 'speed'", Reading(channels=("speeed", "density")))
    refused(path, "neither a file nor unknown array 'msk'", Reading(mask="msk"))
    one = write_arrays(tmp_path / "one.h5", {"speed": PLANE, **places()})
    refused(one, "names 2, array 'speed' has 1", Reading(channels=("a", "b"), axes="t,y,x"))


def test_arrays_of_several_shapes_are_asked_about(tmp_path: Path) -> None:
    arrays = {"u": PLANE, "v": PLANE[:, :6], **places()}
    path = write_arrays(tmp_path / "flow.h5", arrays)
    refused(path, "several shapes: u .*; v .*--channels")
    assert read_simulation(path, Reading(channels=("u",))).channels == ("u",)


@pytest.mark.parametrize("mask", [np.full((12, 20), 0.5), np.zeros((12, 20)), np.ones((20, 13))])
def test_what_is_no_mask_is_refused(mask: np.ndarray, tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flow.h5", {"u": PLANE, "where": mask, **places()})
    refused(path, "mask 'where'", Reading(mask="where"))


def test_time_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    arrays = {"u": PLANE, **places(), "t": places()["t"][::-1]}
    refused(write_arrays(tmp_path / "flow.h5", arrays), "does not rise steadily")


def test_folders_missing_files_and_other_formats_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.h5", "no such file")
    refused(tmp_path, "a folder")
    (tmp_path / "text.h5").write_text("u v p\n1 2 3\n")
    refused(tmp_path / "text.h5", "neither HDF5")


def test_nothing_is_overwritten_unasked_and_never_the_file_itself(tmp_path: Path) -> None:
    path = write_waves(tmp_path / "flow.h5")
    before = path.read_bytes()
    found = read_simulation(path)
    taken = tmp_path / "taken.h5"
    taken.write_text("mine")
    for output, fault in (
        (taken, "exists already"),
        (path, "the simulation itself"),
        (tmp_path / "forecast.npz", "ends in .h5 or .hdf5"),
        (tmp_path / "no" / "forecast.h5", "could not be written"),
    ):
        with pytest.raises(UserError, match=fault):
            write_simulation(found, output)
    with pytest.raises(UserError, match="itself"):
        write_simulation(found, path, overwrite=True)
    assert (path.read_bytes(), taken.read_text()) == (before, "mine")
    write_simulation(found, taken, overwrite=True)
    assert read_simulation(taken).channels == found.channels


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_bytes_never_get_further_than_one_line(
    name: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = write_waves(tmp_path / f"flow.{name}", waves(frames=10, channels=1))
    whole = path.read_bytes()
    told = []
    for _ in range(150):
        broken = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 1500), size=3):
            broken[at] = int(rng.choice([0, 255, rng.integers(256)]))
        path.write_bytes(broken)
        try:
            read_simulation(path, Reading(axes="t,c,y,x") if name == "npy" else None)
        except UserError as error:
            told.append(str(error))
    assert told  # the damage was noticed now and then
    assert not any("\n" in line for line in told)


def test_numbers_kept_in_other_files_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4 * 12 * 8 * 8))
    path = tmp_path / "flow.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("u", (12, 8, 8), "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(UserError, match="taken from another file"), open_arrays(path):
        pass
