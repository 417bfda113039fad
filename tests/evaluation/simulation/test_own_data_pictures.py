"""Pictures of a forecast show what is given, what is predicted, and where it leaves the range."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from own_files import waves, write_waves
from PIL import Image

from data_shards.simulation_file import Simulation, read_simulation
from evaluation.simulation.pictures import animate, draw_sheet


@pytest.fixture
def given(tmp_path: Path) -> Simulation:
    return read_simulation(write_waves(tmp_path / "flow.h5"))


def _future(given: Simulation, fields: np.ndarray) -> Simulation:
    later = replace(given.times, values=given.times.values[-1] + np.arange(1.0, 1 + len(fields)))
    return replace(given, fields=fields, times=later)


def _picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_another_forecast_is_another_sheet_of_the_same_size(given: Simulation) -> None:
    calm = _picture(draw_sheet(given, _future(given, waves(4))))
    wild = _picture(draw_sheet(given, _future(given, waves(4)[:, :, ::-1])))
    assert calm.shape == wild.shape
    changed = (calm != wild).any((0, 2))
    assert changed.any()
    assert not changed[: len(changed) // 4].any()  # the given frames stand on the left


@pytest.mark.parametrize("steps", [1, 3, 90])
def test_a_film_shows_what_the_model_saw_and_the_forecast(given: Simulation, steps: int) -> None:
    film = Image.open(io.BytesIO(animate(given, _future(given, waves(steps)), 10)))
    assert film.n_frames == min(60, 10 + steps)


def test_what_is_not_finite_or_solid_is_drawn_all_the_same(given: Simulation) -> None:
    fields = waves(3)
    fields[1:] = np.inf
    mask = np.ones(given.grid, np.float32)
    mask[2:5, 3:9] = 0
    solid = replace(given, mask=mask)
    assert _picture(draw_sheet(solid, _future(solid, fields))).std() > 10


def test_axes_of_different_units_do_not_squeeze_the_picture(given: Simulation) -> None:
    flat = replace(given, rows=replace(given.rows, values=1e-6 * given.rows.values))
    height, width, _ = _picture(draw_sheet(flat, _future(flat, waves(2)))).shape
    assert width < 12 * height


def test_what_is_forecast_is_written_in_red_and_what_is_given_in_grey(given: Simulation) -> None:
    film = Image.open(io.BytesIO(animate(given, _future(given, waves(4)), 10)))
    red = []
    for frame in range(film.n_frames):
        film.seek(frame)
        pixels = np.asarray(film.convert("RGB")).astype(int)[:25]  # above the panels
        red.append(bool((abs(pixels - (0xB0, 0x30, 0)).max(-1) < 8).any()))
    assert red == [False] * 10 + [True] * 4


def test_a_single_row_is_drawn_as_a_curve_that_may_leave_every_range(given: Simulation) -> None:
    row = replace(
        given,
        fields=given.fields[:, :, :1],
        rows=replace(given.rows, values=given.rows.values[:1]),
    )
    fields = waves(3)[:, :, :1]
    fields[1:] = np.inf
    film = Image.open(io.BytesIO(animate(row, _future(row, fields), 10)))
    assert film.n_frames == 13
    assert film.height > 300
