"""A model under an equation on files of a user's own: lines, coefficients, times and places."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from constrained import ORIGINS, SIDE, constrained_config, first_frames
from own_files import write_arrays

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.windows import load_windows
from evaluation.board.model_card import read_evidence, write_card
from evaluation.harness.forecaster import open_forecaster
from evaluation.simulation.on_model_grid import OnModelGrid
from evaluation.simulation.page.explorer import Explorer
from evaluation.simulation.page.samples import sample_simulation
from foundation import Surrogate
from foundation.checkpoint.folder import save_folder
from foundation.models.registry import build_model
from launchers.cli import main

FRAMES = SIDE - 1
KNOWN = {"viscosity": 0.02, "advection": 1.0}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, folder = constrained_config(), tmp_path_factory.mktemp("constrained") / "model"
    save_folder(folder, config, build_model(config, 0).state_dict(), {"corpora": ["burgers"]})
    return folder


def line(frames: int = 2) -> np.ndarray:
    """(T, X), of which the last frame is that of `first_frames`."""
    first = first_frames("burgers", 1).given[0, 0, 0, 0].numpy()
    return np.stack([first * (1 + 0.1 * t) for t in range(1 - frames, 1)])


def arrays(frames: int = 2) -> dict[str, np.ndarray]:
    """The same with everything that an equation asks for."""
    places = {"t": 0.05 * np.arange(frames), "x": (np.arange(SIDE) + 0.5) / SIDE}
    return {"u": line(frames), **places, **{k: np.float64(v) for k, v in KNOWN.items()}}


def predict(model: Path, file: Path, *options: str) -> np.ndarray:
    output = file.with_name(f"later{file.suffix}")
    command = ["predict", str(model), str(file), "--steps", str(FRAMES), "--output", str(output)]
    assert main([*command, "--boundary", "periodic", "--overwrite", *options]) == 0
    assert output.with_suffix(".gif").exists()
    with np.load(output) as found:
        return found["u"]


def expected(model: Path) -> np.ndarray:
    batch = first_frames("burgers", 1)
    future = Surrogate.from_pretrained(model).forecast(batch.given, FRAMES, origins=batch.origins)
    return future[0, :, 0, 0].numpy()


def test_a_file_of_a_line_is_continued_as_the_models_own_forecast_is(checkpoint, tmp_path):
    """Whichever way it lies, and whether file or options say what the equation asks for."""
    whole = predict(checkpoint, write_arrays(tmp_path / "whole.npz", arrays()))
    # The time step comes back from rounded times.
    np.testing.assert_allclose(whole, expected(checkpoint), rtol=1e-5, atol=1e-6)
    turned = write_arrays(tmp_path / "turned.npz", {**arrays(), "u": line().T})
    np.testing.assert_array_equal(predict(checkpoint, turned).T, whole)
    planes = write_arrays(tmp_path / "planes.npz", {**arrays(), "u": line()[:, None]})
    np.testing.assert_array_equal(predict(checkpoint, planes, "--axes", "t,y,x")[:, 0], whole)
    bare = write_arrays(tmp_path / "bare.npz", {"u": line(1), "x": arrays()["x"]})
    said = ["--parameters", "viscosity=0.02,advection=1", "--time-step", "0.05"]
    np.testing.assert_allclose(
        predict(checkpoint, bare, *said), expected(checkpoint), rtol=1e-5, atol=1e-6
    )
    other = predict(checkpoint, bare, "--parameters", "viscosity=0.2,advection=1", *said[2:])
    assert np.abs(other - whole).max() > 1e-3


@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        (["viscosity"], "whose viscosity the file does not say"),
        (["x"], "save the places of the cells as coordinate x"),
        (["t"], "or give --time-step"),
    ],
)
def test_what_the_equation_asks_for_is_asked_in_one_line(
    missing, fault, checkpoint, tmp_path, capsys
):
    left = {name: values for name, values in arrays().items() if name not in missing}
    path = write_arrays(tmp_path / "line.npz", left)
    command = ["predict", str(checkpoint), str(path), "--steps", "1", "--output"]
    assert main([*command, str(tmp_path / "later.npz")]) == 2
    lines = capsys.readouterr().err.splitlines()
    (error,) = [text for text in lines if not text.startswith("assumed")]
    assert fault in error


def test_planes_and_unknown_coefficients_are_refused(checkpoint, tmp_path, capsys):
    command = ["predict", str(checkpoint)]
    output = ["--steps", "1", "--output", str(tmp_path / "later.npz")]
    plane = write_arrays(tmp_path / "plane.npz", {**arrays(), "u": np.ones((2, SIDE, SIDE))})
    assert main([*command, str(plane), *output]) == 2
    assert "the model takes lines" in capsys.readouterr().err
    file = write_arrays(tmp_path / "line.npz", arrays())
    assert main([*command, str(file), *output, "--parameters", "viscosty=1"]) == 2
    assert "viscosity" in capsys.readouterr().err


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("burgers")
    words = ["shards", "generate", "burgers", "--profile", "small", "--resolution", str(SIDE)]
    words += ["--trajectories", "2", "--split", "test", "--out", str(folder)]
    assert main(words) == 0
    return folder


def test_a_stored_trajectory_is_forecast_and_shown_as_it_is_judged(checkpoint, shards):
    model = Surrogate.from_pretrained(checkpoint)
    corpus = ShardedCorpus.open(shards, "burgers", "test")
    simulation = sample_simulation(corpus, 1, model)
    future = OnModelGrid(model, simulation).predict([0], FRAMES)
    shown = Explorer(model, str(checkpoint), shards).sample("burgers", "test", 1, 0, FRAMES)
    assert "viscosity 0.01" in shown
    layout, frames = model.config.layout, {"context_frames": 1, "target_frames": FRAMES}
    batch = load_windows(corpus, [1], layout, **frames)
    judged = open_forecaster(str(checkpoint), torch.device("cpu")).forecast(batch, FRAMES)
    np.testing.assert_array_equal(future, judged.detach().numpy())


def test_the_python_of_its_card_runs(checkpoint, shards, monkeypatch):
    write_card(checkpoint, read_evidence(None))
    text = (checkpoint / "README.md").read_text()
    assert "'viscosity': 0.01" in text  # of the corpus that it learnt
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    monkeypatch.chdir(checkpoint.parent)
    found: dict[str, torch.Tensor] = {}
    exec(code, found)
    assert found["future"].shape == (1, FRAMES, 1, 1, SIDE)
    assert ORIGINS["burgers"].parameters.keys() == found["origin"].parameters.keys()
