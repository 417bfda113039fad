"""Law: the time step of a file is told beside those of the training, in the same unit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from own_files import waves, write_arrays

from data_shards.simulation_file import Simulation, read_simulation
from evaluation.simulation.training_hints import step_hints
from foundation import Surrogate


def trained_on(*corpora: str) -> Surrogate:
    return cast(Surrogate, SimpleNamespace(about={"corpora": corpora}))


def every(folder: Path, times: Any) -> Simulation:
    plane = waves(channels=1)[:, 0]
    return read_simulation(write_arrays(folder / "a.npz", {"u": plane, "time": times}))


def test_dates_are_compared_in_seconds(tmp_path: Path) -> None:
    dates = np.datetime64("2024-01-01", "h") + 6 * np.arange(13)
    (line,) = step_hints(trained_on("fno_ns_1e-5", "pdebench_swe"), every(tmp_path, dates))
    assert "6 h = 2.16e+04 s apart" in line
    assert "1 s (fno_ns_1e-5), 0.01 s (pdebench_swe); none is within a factor of 2" in line


@pytest.mark.parametrize(("step", "near"), [(0.011, "pdebench_swe"), (0.7, "fno_ns_1e-5")])
def test_a_step_that_training_had_is_said_to_be_near(
    step: float, near: str, tmp_path: Path
) -> None:
    times = 3.0 + step * np.arange(13)
    (line,) = step_hints(trained_on("fno_ns_1e-5", "pdebench_swe"), every(tmp_path, times))
    assert f"{step:g} (the file tells no unit) apart" in line
    assert line.endswith(f"near to {near}")


def test_nothing_is_said_where_the_training_tells_no_step(tmp_path: Path) -> None:
    simulation = every(tmp_path, np.arange(13.0))
    assert step_hints(trained_on("cfdbench", "no_card_of_ours"), simulation) == ()
    assert step_hints(trained_on(), simulation) == ()
