"""A steady problem is read by the names of a model's slots in any format, and never guessed."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from data_shards.errors import UserError
from data_shards.simulation_file import write_simulation
from data_shards.simulation_file.problem import read_problem

SLOTS = ("source", "k11", "k22", "k12", "v1")


@pytest.fixture
def plane(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((8, 12)).astype(np.float32)


def write(path: Path, arrays: dict[str, object]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".mat":
        savemat(path, arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    return path


@pytest.mark.parametrize("ending", [".npz", ".h5", ".nc", ".mat"])
def test_planes_are_fields_and_single_numbers_coefficients(tmp_path, plane, ending):
    arrays = {"source": plane, "k11": 0.02, "k22": np.array([0.03]), "notes": np.arange(5.0)}
    problem = read_problem(write(tmp_path / f"plate{ending}", arrays), SLOTS)
    np.testing.assert_array_equal(problem.fields["source"], plane)
    assert problem.parameters == {"k11": 0.02, "k22": 0.03}
    assert any("k12, v1: not in the file, so 0" in line for line in problem.assumed)


def test_other_names_and_numbers_are_said_by_the_user(tmp_path, plane):
    path = write(tmp_path / "plate.npz", {"heat": plane, "k11": 0.02, "wind": plane})
    problem = read_problem(
        path, SLOTS, renamed={"source": "heat", "v1": "wind"}, parameters={"k11": 0.5, "k22": 0.1}
    )
    assert set(problem.fields) == {"source", "v1"}
    assert problem.parameters == {"k11": 0.5, "k22": 0.1}


def test_one_of_several_problems_is_taken_with_its_own_coefficients(tmp_path, plane):
    arrays = {"source": np.stack([plane, 2 * plane]), "k11": np.array([0.1, 0.2])}
    problem = read_problem(write(tmp_path / "plates.npz", arrays), SLOTS, sample=1)
    np.testing.assert_array_equal(problem.fields["source"], 2 * plane)
    assert problem.parameters == {"k11": 0.2}


@pytest.mark.parametrize("ending", [".npz", ".h5", ".mat"])
def test_a_plane_whose_rows_fall_is_turned_and_written_back_as_it_lay(tmp_path, plane, ending):
    arrays = {"source": plane, "y": np.linspace(1, 0, 8), "x": np.linspace(0, 1, 12)}
    problem = read_problem(write(tmp_path / f"plate{ending}", arrays), SLOTS)
    np.testing.assert_array_equal(problem.fields["source"], plane[::-1])
    write_simulation(problem.planes, tmp_path / f"again{ending}")
    again = read_problem(tmp_path / f"again{ending}", SLOTS)
    np.testing.assert_array_equal(again.fields["source"], plane[::-1])
    if ending == ".npz":
        with np.load(tmp_path / "again.npz") as stored:
            np.testing.assert_array_equal(stored["source"], plane)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"heat": "plane"}, {}, "no plane 'source', which the model begins with; it holds heat"),
        ({"source": "plane"}, {"renamed": {"k13": "source"}}, "did you mean 'k12' or 'k11'"),
        ({"source": "plane"}, {"renamed": {"source": "hat"}}, "hat"),
        ({"source": "plane", "v1": "other"}, {}, "planes of several shapes"),
        ({"source": "nan"}, {}, "1 values are not finite"),
        ({"source": "plane", "k11": np.nan}, {}, "no finite number"),
        ({"source": "planes"}, {"sample": 3}, "it holds 2"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(tmp_path, plane, arrays, options, message):
    spoiled = plane.copy()
    spoiled[2, 3] = np.nan
    kinds = {"plane": plane, "other": plane[:, :4], "nan": spoiled, "planes": [plane, plane]}
    made = {n: kinds[v] if isinstance(v, str) else v for n, v in arrays.items()}
    path = write(tmp_path / "plate.npz", made)
    with pytest.raises(UserError, match=message):
        read_problem(path, SLOTS, **options)


def test_a_profile_is_no_coefficient_and_one_name_in_two_groups_is_asked_about(tmp_path, plane):
    path = write(tmp_path / "plate.npz", {"source": plane, "k11": np.arange(1.0, 9.0)})
    with pytest.raises(UserError, match="8 numbers for 1 problems"):
        read_problem(path, SLOTS)
    path = write(tmp_path / "plates.h5", {"a/source": plane, "b/source": 2 * plane})
    with pytest.raises(UserError, match="say which by --channels source=b/source"):
        read_problem(path, SLOTS)
    named = read_problem(path, SLOTS, renamed={"source": "b/source"})
    np.testing.assert_array_equal(named.fields["source"], 2 * plane)


def test_coefficients_of_each_problem_come_from_matlab_too_and_the_choice_is_said(tmp_path, plane):
    arrays = {"source": np.stack([plane, 2 * plane]), "k11": np.array([[0.1, 0.2]])}
    path = write(tmp_path / "plates.mat", arrays)
    first = read_problem(path, SLOTS)
    assert first.parameters == {"k11": 0.1}
    assert first.assumed[0] == "problem 0 of 2; another one by --sample"
    assert read_problem(path, SLOTS, sample=1).parameters == {"k11": 0.2}
    with pytest.raises(UserError, match="--sample -1, it holds 2"):
        read_problem(path, SLOTS, sample=-1)


def test_a_number_for_a_slot_that_there_is_not_is_refused_before_anything_is_said(tmp_path, plane):
    path = write(tmp_path / "plate.npz", {"source": plane})
    with pytest.raises(UserError, match="unknown slot 'k13'"):
        read_problem(path, SLOTS, parameters={"k13": 1.0})
