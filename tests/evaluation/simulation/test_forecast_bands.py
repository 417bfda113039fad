"""Bands about a forecast of a user's file: written beside it, and measured on its known frames."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_shards.simulation_file import read_simulation
from evaluation.simulation.bands import MemberTerms, banded_forecast
from foundation import Surrogate
from launchers.cli import main


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames of waves that move, on a grid that is not the model's."""
    path = tmp_path_factory.mktemp("flow") / "flow.npz"
    t, y, x = np.meshgrid(np.arange(30), np.arange(24), np.arange(32), indexing="ij")
    phases = 2 * np.pi * (x / 32 - t / 40), 2 * np.pi * (y / 24 + t / 50)
    fields = {"u": np.sin(phases[0]) + 2, "v": np.cos(phases[1]) * np.sin(phases[0])}
    np.savez(path, **{name: value.astype(np.float32) for name, value in fields.items()})
    return path


def test_predict_writes_bands_that_held_what_was_known(
    checkpoint: Path, flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(name: str, *more: str) -> dict[str, np.ndarray]:
        output = tmp_path / name
        words = ["predict", str(checkpoint), str(flow), "--axes", "t,y,x", "--steps", "4"]
        assert main([*words, "--boundary", "periodic", *more, "--output", str(output)]) == 0
        with np.load(output) as stored:
            return dict(stored)

    members = ("--members", "3", "--noise", "0.5")
    found = predict("a.npz", *members)
    again = predict("b.npz", *members)
    for name in ("u", "u_low", "u_high", "v", "v_low", "v_high"):
        np.testing.assert_array_equal(found[name], again[name])  # members repeat by their seed
        assert found[name].shape == (4, 24, 32)
    for name in ("u", "v"):
        low, high = found[f"{name}_low"], found[f"{name}_high"]
        assert (low < high).all()
        np.testing.assert_allclose((low + high) / 2, found[name], atol=1e-4)
    report = json.loads((tmp_path / "a.report.json").read_text())["bands"]
    assert (report["members"], report["tested"], report["level"]) == (3, 4, 0.9)
    assert 0.6 < report["covered"] < 1
    assert "Bands of 90% from 3 members" in capsys.readouterr().out
    assert "u_low" not in predict("c.npz")


def test_bands_hold_the_share_of_the_frames_that_widened_them(checkpoint: Path, flow: Path) -> None:
    model = Surrogate.from_pretrained(checkpoint)
    simulation = read_simulation(flow)
    shorter = simulation.fields[:26]
    from dataclasses import replace

    cut = replace(simulation, fields=shorter)
    found = banded_forecast([model], cut, 4, MemberTerms(3, 0.5))
    truth = simulation.fields[26:]
    within = (found.low <= truth) & (truth <= found.high)
    # Waves that repeat: what is ahead is like what was known.
    assert 0.7 < within.mean() <= 1
    later = banded_forecast([model], cut, 20, MemberTerms(3, 0.5))
    assert later.report.tested == 16
    assert later.low.shape[0] == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--members", "1"], "ask for 2"),
        (["--members", "3", "--noise", "0"], "differ by noise alone"),
        (["--members", "3", "--output", "x.npy"], "one array"),
    ],
)
def test_bands_that_cannot_be_are_refused(
    words: list[str],
    message: str,
    checkpoint: Path,
    flow: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = [] if "--output" in words else ["--output", str(tmp_path / "x.npz")]
    command = ["predict", str(checkpoint), str(flow), "--steps", "2", *words, *output]
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_a_run_without_known_frames_has_no_bands(
    checkpoint: Path, flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(flow) as stored:
        np.savez(tmp_path / "short.npz", **{name: stored[name][:10] for name in ("u", "v")})
    words = ["predict", str(checkpoint), str(tmp_path / "short.npz"), "--steps", "2"]
    assert main([*words, "--members", "2", "--output", str(tmp_path / "y.npz")]) == 2
    assert "no frames beyond the 10" in capsys.readouterr().err
