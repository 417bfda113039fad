"""Solid cells do not matter, whatever they hold; a mask is read whichever way round it is kept."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from own_files import places, waves, write_arrays
from scipy.io import savemat

from data_shards.errors import UserError
from data_shards.simulation_file import Reading, read_simulation, write_simulation

FLOW = waves(channels=1)[:, 0]
MASK = np.ones((12, 20), np.int8)
MASK[3:5, 7:12] = 0
SOLID = MASK == 0


def write(path: Path, value: float, **masks: np.ndarray) -> Path:
    """A flow with a value in solid cells."""
    fields = FLOW.copy()
    fields[:, SOLID] = value
    return write_arrays(path, {"u": fields, **masks, **places()})


@pytest.mark.parametrize("value", [0.0, -9999.0, 1e20, np.nan, np.inf])
def test_what_stands_in_solid_cells_changes_nothing_and_is_written_back(
    value: float, tmp_path: Path
) -> None:
    path = write(tmp_path / "flow.npz", value, mask=MASK)
    found = read_simulation(path)
    np.testing.assert_array_equal(found.fields[:, 0], FLOW * MASK)
    write_simulation(found, tmp_path / "copy.npz")
    with np.load(tmp_path / "copy.npz") as copy, np.load(path) as first:
        np.testing.assert_array_equal(copy["u"], first["u"])


def test_what_turns_round_takes_its_solid_cells_along(tmp_path: Path) -> None:
    fields = FLOW.astype("f8").copy()
    fields[:, SOLID] = -1e300 * (1 + np.arange(10))  # not of single precision
    falling = {"u": fields[:, ::-1], "mask": MASK[::-1], **places(), "y": places()["y"][::-1]}
    path = write_arrays(tmp_path / "flow.npz", falling)
    found = read_simulation(path)
    np.testing.assert_array_equal(found.fields[:, 0], FLOW * MASK)
    write_simulation(found, tmp_path / "copy.npz")
    with np.load(tmp_path / "copy.npz") as copy:
        np.testing.assert_array_equal(copy["u"], falling["u"])


@pytest.mark.parametrize("value", [0.0, -9999.0, np.nan])
@pytest.mark.parametrize(
    ("name", "values"),
    [("mask", MASK), ("mask", 1 - MASK), ("solid", 1 - MASK), ("solid", MASK), ("wet", 1 - MASK)],
)
def test_cells_that_never_move_are_the_solid_ones_however_the_mask_is_kept(
    name: str, values: np.ndarray, value: float, tmp_path: Path
) -> None:
    found = read_simulation(write(tmp_path / "flow.npz", value, **{name: values}))
    np.testing.assert_array_equal(found.mask, MASK)


def test_the_users_word_and_the_name_count_where_everything_moves(tmp_path: Path) -> None:
    arrays = {"u": FLOW, "solid": 1 - MASK, **places()}
    path = write_arrays(tmp_path / "flow.h5", arrays)
    by_name = read_simulation(path)
    np.testing.assert_array_equal(by_name.mask, MASK)
    told = "array 'solid' taken as the mask: 1 in solid cells; if it is 0 there, --mask solid"
    assert told in by_name.assumed
    np.testing.assert_array_equal(read_simulation(path, Reading(mask="solid")).mask, 1 - MASK)
    np.testing.assert_array_equal(read_simulation(path, Reading(mask="1-solid")).mask, MASK)


def test_a_mask_of_solids_may_be_another_file(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flow.h5", {"u": FLOW, **places()})
    np.save(tmp_path / "land.npy", SOLID)
    found = read_simulation(path, Reading(mask=f"1-{tmp_path / 'land.npy'}"))
    np.testing.assert_array_equal(found.mask, MASK)


def test_a_mask_of_unclear_meaning_is_asked_about(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "flow.h5", {"u": FLOW, "geometry": MASK, **places()})
    found = read_simulation(path)
    assert found.mask is None
    assert any("--mask 1-geometry where it is 1 in solid" in line for line in found.assumed)


def test_a_share_of_solid_over_time_is_a_field(tmp_path: Path) -> None:
    path = write_arrays(tmp_path / "melt.h5", {"solid": FLOW, "mask": MASK, **places()})
    found = read_simulation(path)
    assert found.channels == ("solid",)
    np.testing.assert_array_equal(found.mask, MASK)


def test_cells_that_lack_a_value_in_some_frames_only_are_no_land(tmp_path: Path) -> None:
    fields = FLOW.copy()
    fields[3, 5] = np.nan
    path = write_arrays(tmp_path / "flow.h5", {"u": fields, **places()})
    with pytest.raises(UserError, match=r"20 values cannot be used.*cut the frames that have them"):
        read_simulation(path)


def test_each_run_has_its_own_mask(tmp_path: Path) -> None:
    arrays = {}
    for number, mask in enumerate((MASK, MASK[::-1])):
        arrays |= {f"run_{number}/u": FLOW * mask, f"run_{number}/mask": mask}
    path = write_arrays(tmp_path / "runs.h5", arrays | places())
    np.testing.assert_array_equal(read_simulation(path, Reading(sample=1)).mask, MASK[::-1])


def test_the_class_of_a_matlab_array_decides_not_how_it_is_packed(tmp_path: Path) -> None:
    whole = np.round(10 * FLOW)
    path = tmp_path / "whole.mat"
    savemat(path, {"u": whole.astype("f8"), "n": whole.astype("i2"), **places()})
    _repack_as_bytes(path, whole.astype("u1"))
    found = read_simulation(path)
    assert (found.channels, found.layout.dtype) == (("u",), np.dtype("f8"))
    np.testing.assert_array_equal(found.fields[:, 0], whole)
    assert "left aside, no floating-point numbers: n" in found.assumed


def _repack_as_bytes(path: Path, whole: np.ndarray) -> None:
    """The first array as MATLAB itself keeps doubles that are whole: scipy never does."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[132:136], "little")
    element, rest = raw[136 : 136 + size], raw[136 + size :]
    head = element[: len(element) - 8 * whole.size - 8]  # flags, lengths and name
    numbers = whole.tobytes(order="F")
    data = np.array([2, len(numbers)], "<u4").tobytes() + numbers + bytes(-len(numbers) % 8)
    tag = np.array([14, len(head) + len(data)], "<u4").tobytes()
    path.write_bytes(raw[:128] + tag + head + data + rest)


def test_a_mask_of_hdf5_kept_as_truth_values_is_one(tmp_path: Path) -> None:
    path = tmp_path / "flow.h5"
    with h5py.File(path, "w") as file:
        file["u"], file["mask"] = FLOW * MASK, MASK.astype(bool)
        for name, values in places().items():
            file[name] = values
    np.testing.assert_array_equal(read_simulation(path).mask, MASK)
