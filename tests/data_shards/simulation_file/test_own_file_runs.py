"""Several runs of one file are runs, however the file keeps them; frames are frames."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from own_files import places, waves, write_arrays

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, read_simulation, write_simulation

PLANE = waves(channels=1)[:, 0]
LINE = PLANE[:, 5]


def grids() -> dict[str, np.ndarray]:
    return {f"grid/{name}": values for name, values in places().items()}


def of_groups(*names: str) -> dict[str, np.ndarray]:
    """u and v of every run, times its number from 1; places of their own."""
    arrays = {}
    for number, name in enumerate(names, 1):
        own = {"u": PLANE * number, "v": -PLANE * number, **grids()}
        arrays |= {f"{name}/{key}": values for key, values in own.items()}
    return arrays


@pytest.mark.parametrize(
    "names", [("0000", "0001", "0002"), ("run_0", "run_1", "run_10"), ("a/s2", "a/s3", "a/s10")]
)
@pytest.mark.parametrize("ending", ["h5", "nc", "npz"])
def test_groups_that_are_numbered_are_runs(
    ending: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    path = write_arrays(tmp_path / f"runs.{ending}", of_groups(*names))
    first = read_simulation(path)
    assert (first.channels, first.samples) == (("u", "v"), 3)
    assert f"run 0 of 3 ({names[0]}); another one by --sample" in first.assumed
    for number in range(3):
        found = read_simulation(path, Reading(sample=number))
        np.testing.assert_array_equal(found.fields[:, 0], PLANE * (number + 1))
        np.testing.assert_array_equal(found.fields[:, 1], -PLANE * (number + 1))
        np.testing.assert_array_equal(found.times.values, places()["t"])
        assert found.layout.arrays == (f"{names[number]}/u", f"{names[number]}/v")
    with pytest.raises(UserError, match="--sample 3, it holds 3"):
        read_simulation(path, Reading(sample=3))
    one = read_simulation(path, Reading(channels=("v",), sample=1))
    np.testing.assert_array_equal(one.fields[:, 0], -PLANE * 2)


def test_a_run_is_written_back_where_it_lay(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "runs.h5", of_groups("run_0", "run_1"))
    write_simulation(read_simulation(path, Reading(sample=1)), tmp_path / "one.h5")
    with h5py.File(tmp_path / "one.h5") as file:
        np.testing.assert_array_equal(file["run_1/u"], PLANE * 2)
        np.testing.assert_array_equal(file["run_1/grid/t"], places()["t"])
        assert "run_0" not in file


def test_arrays_that_are_called_by_numbers_are_runs(tmp_path: Path) -> None:
    arrays = {str(n): (n + 1) * PLANE for n in (0, 1, 10, 2)}
    path = write_arrays(tmp_path / "series.h5", arrays | places())
    for number, name in enumerate((0, 1, 2, 10)):
        found = read_simulation(path, Reading(sample=number))
        assert (found.samples, found.channels) == (4, ("u",))
        np.testing.assert_array_equal(found.fields[:, 0], (name + 1) * PLANE)


def test_channels_of_a_numbered_run_are_not_taken_for_its_samples(tmp_path: Path) -> None:
    arrays = {str(n): np.stack([PLANE, -PLANE, PLANE**2], 1) * (n + 1) for n in range(3)}
    found = read_simulation(write_arrays(tmp_path / "series.h5", arrays | places()))
    assert (found.samples, len(found.channels), len(found.fields)) == (3, 3, 13)
    np.testing.assert_array_equal(found.fields[:, 1], -PLANE)


def test_names_with_a_number_that_are_no_runs_stay_channels(tmp_path: Path) -> None:
    arrays = {"u1": PLANE, "u2": 2 * PLANE, "species_0": 3 * PLANE, "species_1": 4 * PLANE}
    found = read_simulation(write_arrays(tmp_path / "a.h5", arrays | places()))
    assert (found.samples, len(found.channels)) == (1, 4)


def test_runs_may_be_of_several_lengths_with_times_of_their_own(tmp_path: Path) -> None:
    arrays = {
        "run_0/u": PLANE[:12], "run_0/t": 2.0 * np.arange(12), "run_1/u": PLANE,
        "run_1/t": 3.0 * np.arange(13), "x": places()["x"], "y": places()["y"],
    }  # fmt: skip
    path = write_arrays(tmp_path / "runs.h5", arrays)
    for number, step in enumerate((2.0, 3.0)):
        found = read_simulation(path, Reading(sample=number))
        assert len(found.fields) == 12 + number
        assert found.times.values[1] == step
        np.testing.assert_array_equal(found.columns.values, places()["x"])


def test_the_axis_that_differs_between_runs_is_time(tmp_path: Path) -> None:
    arrays = {"run_0/u": PLANE[:12, :10], "run_1/u": PLANE[:, :10]}
    found = read_simulation(write_arrays(tmp_path / "runs.h5", arrays), Reading(sample=1))
    assert found.layout.axes == "tyx"


def test_times_with_a_row_per_run_are_those_of_the_run(tmp_path: Path) -> None:
    times = np.arange(13.0) * np.array([[1.0], [2.0], [3.0]])
    runs = np.stack([PLANE, 2 * PLANE, 3 * PLANE])
    path = write_arrays(tmp_path / "runs.h5", {"u": runs, **places(), "t": times})
    found = read_simulation(path, Reading(sample=2))
    np.testing.assert_array_equal(found.times.values, times[2])
    np.testing.assert_array_equal(found.fields[:, 0], runs[2])


@pytest.mark.parametrize("name", ["t_{:03d}/u", "frame{}/u", "step_{}"])
def test_groups_and_arrays_that_are_called_by_times_are_frames(name: str, tmp_path: Path) -> None:
    arrays = {name.format(number): frame for number, frame in enumerate(PLANE)}
    path = write_arrays(tmp_path / "frames.h5", arrays | {n: places()[n] for n in "xy"})
    found = read_simulation(path)
    assert (found.samples, found.channels) == (1, ("u",))
    np.testing.assert_array_equal(found.fields[:, 0], PLANE)
    write_simulation(found, tmp_path / "copy.h5")
    np.testing.assert_array_equal(read_simulation(tmp_path / "copy.h5").fields, found.fields)


def test_numbered_planes_may_be_frames_or_lines_and_the_file_or_its_owner_tells(
    tmp_path: Path,
) -> None:
    planes = {str(n): frame for n, frame in enumerate(PLANE)}
    path = write_arrays(tmp_path / "planes.h5", planes)
    with pytest.raises(UserError, match=r"frames of one run, or runs over a line.*--axes t,y,x or"):
        read_simulation(path)
    frames = read_simulation(path, Reading(axes="t,y,x"))
    np.testing.assert_array_equal(frames.fields[:, 0], PLANE)
    lines = read_simulation(path, Reading(axes="t,x", sample=3))
    assert (lines.samples, lines.fields.shape) == (13, (12, 1, 1, 20))
    told = write_arrays(tmp_path / "told.h5", planes | {n: places()[n] for n in "xy"})
    np.testing.assert_array_equal(read_simulation(told).fields, frames.fields)


def test_numbered_planes_of_channels_are_not_taken_for_runs_of_few_frames(tmp_path: Path) -> None:
    arrays = {str(n): np.stack([frame, -frame]) for n, frame in enumerate(PLANE)}
    path = write_arrays(tmp_path / "planes.h5", arrays)
    with pytest.raises(UserError, match=r"runs of so few frames\? Say --axes t,c,y,x or"):
        read_simulation(path)
    frames = read_simulation(path, Reading(axes="t,c,y,x"))
    assert frames.samples == 1
    np.testing.assert_array_equal(frames.fields, np.stack([PLANE, -PLANE], 1))
    assert read_simulation(path, Reading(axes="t,y,x")).samples == 13


def test_groups_without_numbers_are_asked_about_and_parts_are_channels(tmp_path: Path) -> None:
    arrays = {"calm/u": PLANE, "storm/u": 2 * PLANE, **places()}
    path = write_arrays(tmp_path / "cases.h5", arrays)
    with pytest.raises(UserError, match=r"u is in 2 groups: runs, or channels.*--channels calm/u"):
        read_simulation(path)
    storm = read_simulation(path, Reading(channels=("storm/u",)))
    np.testing.assert_array_equal(storm.fields[:, 0], 2 * PLANE)
    parts = {"density/data": PLANE, "speed/data": 2 * PLANE, **places()}
    found = read_simulation(write_arrays(tmp_path / "parts.h5", parts))
    assert found.channels == ("density/data", "speed/data")


def test_runs_of_lines_as_pdebench_keeps_them_are_thin_planes(tmp_path: Path) -> None:
    grid = {"grid/t": places()["t"], "grid/x": places()["x"]}
    arrays = {}
    for number in range(3):
        own = {"data": LINE[..., None] * (number + 1), **grid}
        arrays |= {f"{number:04d}/{name}": values for name, values in own.items()}
    path = write_arrays(tmp_path / "1D_diff-sorp.h5", arrays)
    found = read_simulation(path, Reading(sample=2))
    assert (found.samples, found.grid) == (3, (1, 20))
    assert found.extent == pytest.approx((0, 2, 0, 1))  # as that of our own lines
    np.testing.assert_array_equal(found.fields[:, 0, 0], LINE * 3)


@pytest.mark.parametrize("ending", ["h5", "nc", "npz", "mat", "classic.nc"])
def test_runs_of_a_line_along_an_axis_are_no_rows(ending: str, tmp_path: Path) -> None:
    runs = np.stack([LINE * (number + 1) for number in range(30)])
    arrays = {"tensor": runs, "t-coordinate": places()["t"], "x-coordinate": places()["x"]}
    path = write_arrays(tmp_path / f"1D_Burgers.{ending}", arrays)
    found = read_simulation(path, Reading(sample=7))
    assert (found.samples, found.fields.shape) == (30, (13, 1, 1, 20))
    np.testing.assert_array_equal(found.fields[:, 0, 0], LINE * 8)
    assert any("13 frames of a line of 20" in line for line in found.assumed)
    write_simulation(found, tmp_path / f"copy.{ending}")
    again = read_simulation(tmp_path / f"copy.{ending}")
    np.testing.assert_array_equal(again.fields, found.fields)
    assert again.layout.axes == found.layout.axes == "stx"


def test_a_line_may_have_solid_cells(tmp_path: Path) -> None:
    mask = np.ones(20)
    mask[4:8] = 0
    arrays = {"u": np.where(mask, LINE, -9999), "mask": mask, "t": places()["t"]}
    path = write_arrays(tmp_path / "line.npz", arrays | {"x": places()["x"]})
    found = read_simulation(path)
    np.testing.assert_array_equal(found.fields[:, 0, 0], (LINE * mask).astype("f4"))
    write_simulation(found, tmp_path / "copy.npz")
    with np.load(tmp_path / "copy.npz") as copy:
        np.testing.assert_array_equal(copy["u"], arrays["u"])
        np.testing.assert_array_equal(copy["mask"], mask)


def test_a_line_is_read_and_written_as_a_line(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "line.npz", {"u": LINE, "t": places()["t"], "x": places()["x"]})
    found = read_simulation(path)
    np.testing.assert_array_equal(found.fields[:, 0, 0], LINE)
    write_simulation(found, tmp_path / "copy.npz")
    with np.load(tmp_path / "copy.npz") as copy:
        assert set(copy.files) == {"u", "t", "x"}
        np.testing.assert_array_equal(copy["u"], LINE)


def test_numbers_are_those_of_the_run_before_those_of_all(tmp_path: Path) -> None:
    numbers = {"equation/viscosity": 0.1, "equation/forcing": 2, "run_1/viscosity": 0.3,
               "run_0/drag": np.nan}  # fmt: skip
    arrays = of_groups("run_0", "run_1") | {name: np.array(n) for name, n in numbers.items()}
    path = write_arrays(tmp_path / "runs.h5", arrays)
    assert read_simulation(path).numbers == {"viscosity": 0.1, "forcing": 2.0}
    second = read_simulation(path, Reading(sample=1))
    assert second.numbers == {"viscosity": 0.3, "forcing": 2.0}
    assert set(second.measured) == set(places())


def test_single_numbers_of_matlab_are_no_frames(tmp_path: Path) -> None:
    """MATLAB keeps every number as a plane of one cell."""
    arrays = {"u": PLANE, "t0": np.array([[0.0]]), "t1": np.array([[1.5]])}
    found = read_simulation(write_arrays(tmp_path / "one.mat", arrays), Reading(axes="t,y,x"))
    np.testing.assert_array_equal(found.fields[:, 0], PLANE)
    assert found.numbers == {"t0": 0.0, "t1": 1.5}


def test_a_single_frame_of_a_line_is_read_where_one_frame_is_enough(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "line.npz", {"u": LINE[:1], "x": places()["x"]})
    found = read_simulation(path, Reading(frames=1))
    np.testing.assert_array_equal(found.fields[:, 0, 0], LINE[:1])
    assert (found.layout.axes, found.measured) == ("tx", "x")
    with pytest.raises(UserError, match="no frames of planes"):
        read_simulation(path)
