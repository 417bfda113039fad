"""A forecast of a user's own file is that of the model, on the file's grid and in its format."""

from pathlib import Path

import numpy as np
import pytest
import torch
from own_files import FORMATS, places, waves, write_arrays, write_waves
from runs import write_checkpoint

import evaluation.simulation.on_model_grid
from data_shards.errors import UserError
from data_shards.simulation_file import Reading, read_simulation, write_simulation
from data_shards.simulation_file.regrid import regrid
from evaluation.simulation.on_model_grid import forecast
from foundation import Surrogate

SIDE = 16  # of the small models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    return Surrogate.from_pretrained(write_checkpoint(tmp_path_factory.mktemp("own") / "model"))


@pytest.fixture(scope="module")
def reference(model: Surrogate, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = write_waves(tmp_path_factory.mktemp("flow") / "flow.h5")
    return forecast(model, read_simulation(path), 3).fields


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_forecast_is_the_same_whatever_the_format_and_type(
    name: str, dtype: str, model: Surrogate, reference: np.ndarray, tmp_path: Path
) -> None:
    path = write_waves(tmp_path / f"flow.{name}", dtype=dtype)
    reading = Reading(axes="t,c,y,x") if name == "npy" else None
    future = forecast(model, read_simulation(path, reading), 3)
    np.testing.assert_array_equal(future.fields, reference)


@pytest.mark.parametrize("axes", ["t,y,x,c", "c,t,y,x", "x,y,t,c"])
def test_the_forecast_is_the_same_whatever_the_order_of_axes(
    axes: str, model: Surrogate, reference: np.ndarray, tmp_path: Path
) -> None:
    order = ["tcyx".index(letter) for letter in axes.split(",")]
    path = write_arrays(tmp_path / "flow.npy", {"u": waves().transpose(order)})
    future = forecast(model, read_simulation(path, Reading(axes=axes)), 3)
    np.testing.assert_array_equal(future.fields, reference)


@pytest.mark.parametrize("boundary", ["edge", "periodic"])
def test_on_the_models_own_grid_it_is_exactly_the_models_forecast(
    boundary: str, model: Surrogate, tmp_path: Path
) -> None:
    fields = waves(rows=SIDE, columns=SIDE)
    path = write_waves(tmp_path / "flow.npz", fields)
    simulation = read_simulation(path, Reading(axes="t,y,x", boundary=boundary))
    future = forecast(model, simulation, 3)
    wanted = model.forecast(torch.from_numpy(fields)[None], 3)[0].numpy()
    np.testing.assert_array_equal(future.fields, wanted)


def test_an_obstacle_on_the_models_own_grid_is_exactly_the_models_too(
    model: Surrogate, tmp_path: Path
) -> None:
    mask = np.ones((SIDE, SIDE), np.float32)
    mask[3:6, 5:11] = 0
    fields = waves(channels=2, rows=SIDE, columns=SIDE) * mask
    arrays = {"u": fields[:, 0], "v": fields[:, 1], "mask": mask}
    simulation = read_simulation(write_arrays(tmp_path / "a.npz", arrays), Reading(axes="t,y,x"))
    context = torch.from_numpy(fields)[None]
    wanted = model.forecast(context, 3, torch.from_numpy(mask))[0].numpy()
    future = forecast(model, simulation, 3).fields
    np.testing.assert_array_equal(future, wanted)
    assert not future[:, :, mask < 0.5].any()
    open_field = model.forecast(context, 3)[0].numpy()
    assert np.abs(future - open_field).max() > 1e-3  # the model was told of the obstacle


@pytest.mark.parametrize("boundary", ["edge", "periodic", "periodic-x"])
def test_on_another_grid_it_is_the_models_forecast_resampled(
    boundary: str, model: Surrogate, tmp_path: Path
) -> None:
    path = write_waves(tmp_path / "flow.npz")
    simulation = read_simulation(path, Reading(boundary=boundary))
    context = regrid(simulation.fields, (SIDE, SIDE), simulation.periodic)
    wanted = model.forecast(torch.from_numpy(context)[None], 3)[0].numpy()
    back = regrid(wanted, simulation.grid, simulation.periodic)
    np.testing.assert_array_equal(forecast(model, simulation, 3).fields, back)
    # Means are kept to the round-off of float32.
    np.testing.assert_allclose(back.mean((2, 3)), wanted.mean((2, 3)), rtol=1e-5)


def test_exchanged_axes_give_the_forecast_of_the_exchanged_planes(
    model: Surrogate, tmp_path: Path
) -> None:
    path = write_arrays(tmp_path / "a.npz", {"u": waves()[:, 0]})
    exchanged = write_arrays(tmp_path / "b.npz", {"u": waves()[:, 0].swapaxes(1, 2)})
    first = forecast(model, read_simulation(path, Reading(axes="t,x,y")), 3)
    second = forecast(model, read_simulation(exchanged, Reading(axes="t,y,x")), 3)
    straight = forecast(model, read_simulation(path, Reading(axes="t,y,x")), 3)
    np.testing.assert_array_equal(first.fields, second.fields)
    assert first.fields.shape[2:] == straight.fields.shape[:1:-1]


@pytest.mark.parametrize(("rows", "columns"), [(24, 40), (SIDE, SIDE)])
def test_what_stands_in_solid_cells_changes_no_bit_of_the_fluid_and_stays(
    rows: int, columns: int, model: Surrogate, tmp_path: Path
) -> None:
    mask = np.ones((rows, columns), np.uint8)
    mask[rows // 3 : rows // 2, columns // 4 : columns // 2] = 0
    flow = waves(channels=1, rows=rows, columns=columns)[:, 0]
    found = []
    for number, value in enumerate((0.0, 7.0, -9999.0, 1e20, np.nan)):
        fields = np.where(mask, flow, np.float32(value))
        arrays = {"u": fields, "mask": mask, **places(rows=rows, columns=columns)}
        path = write_arrays(tmp_path / f"{number}.npz", arrays)
        future = forecast(model, read_simulation(path, Reading(axes="t,y,x")), 2)
        write_simulation(future, tmp_path / f"future_{number}.npz")
        with np.load(tmp_path / f"future_{number}.npz") as written:
            np.testing.assert_array_equal(written["u"][:, mask == 0], np.float32(value))
            found.append(written["u"][:, mask == 1])
    assert all((fluid == found[0]).all() for fluid in found)


@pytest.mark.parametrize("value", [1.0, -9999.0, 1e20, np.nan])
def test_a_context_under_a_mask_may_hold_anything(
    value: float, model: Surrogate, rng: np.random.Generator
) -> None:
    context = torch.from_numpy(rng.normal(size=(2, 10, 1, SIDE, SIDE)).astype(np.float32))
    mask = torch.ones(SIDE, SIDE)
    mask[3:6, 5:11] = 0
    mask[6, 5:11] = 0.3  # a share of fluid: what training saw there is a mean over both
    bare = context.masked_fill(mask == 0, 0.0)
    odd = context.masked_fill(mask == 0, value)
    wanted, future = model.forecast(bare, 2, mask), model.forecast(odd, 2, mask)
    assert torch.equal(future[..., mask > 0], wanted[..., mask > 0])
    torch.testing.assert_close(
        future[..., mask == 0], odd[:, -1:].expand(2, 2, -1, -1, -1)[..., mask == 0], equal_nan=True
    )
    for ours, theirs in zip(model.route(odd, mask), model.route(bare, mask), strict=True):
        assert torch.equal(ours.probabilities, theirs.probabilities)


def test_time_goes_on(model: Surrogate, tmp_path: Path) -> None:
    simulation = read_simulation(write_waves(tmp_path / "flow.h5"))
    future = forecast(model, simulation, 3)
    last = places()["t"][-1]
    np.testing.assert_allclose(future.times.values, last + 0.25 * np.arange(1, 4))


def test_only_the_last_frames_count(
    model: Surrogate, reference: np.ndarray, tmp_path: Path
) -> None:
    simulation = read_simulation(write_waves(tmp_path / "flow.h5", waves()[-10:]))
    np.testing.assert_array_equal(forecast(model, simulation, 3).fields, reference)


def test_too_few_frames_and_too_many_channels_are_refused(model: Surrogate, tmp_path: Path) -> None:
    few = read_simulation(write_waves(tmp_path / "few.h5", waves(frames=9)))
    with pytest.raises(UserError, match="9 frames, the model needs 10"):
        forecast(model, few, 1)
    many = read_simulation(write_waves(tmp_path / "many.h5", waves(channels=5)))
    with pytest.raises(UserError, match=r"5 channels .* the model takes 4.*--channels"):
        forecast(model, many, 1)


def test_the_example_in_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_checkpoint(Path("runs/tiny/model"))
    write_waves(Path("flow.h5"))
    text = evaluation.simulation.on_model_grid.__doc__ or ""
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    exec("\n".join(lines), {})
    assert "Verdict:" in capsys.readouterr().out
    assert len(read_simulation("forecast.h5").fields) == 10
