"""Bands about a forecast of a user's file: written beside it, and measured on its known frames."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_records import board_record

from data_shards.simulation_file import Reading, read_simulation
from evaluation.records.record import Calibration
from evaluation.records.results import save_results
from evaluation.records.samples import SampleValues
from evaluation.simulation.bands import MemberTerms, banded_forecast
from evaluation.tasks.task import load_tasks
from foundation import Surrogate
from launchers.cli import main

AXES = ("--axes", "t,y,x")


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
        words = ["predict", str(checkpoint), str(flow), *AXES, "--steps", "4"]
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
    simulation = read_simulation(flow, Reading(axes="t,y,x"))
    shorter = simulation.fields[:26]
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
    command = ["predict", str(checkpoint), str(flow), *AXES, "--steps", "2", *words, *output]
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_a_run_without_known_frames_has_no_bands(
    checkpoint: Path, flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(flow) as stored:
        np.savez(tmp_path / "short.npz", **{name: stored[name][:10] for name in ("u", "v")})
    words = ["predict", str(checkpoint), str(tmp_path / "short.npz"), *AXES, "--steps", "2"]
    assert main([*words, "--members", "2", "--output", str(tmp_path / "y.npz")]) == 2
    assert "no frames beyond the 10" in capsys.readouterr().err


def test_bands_of_a_corpus_are_taken_from_its_record(
    checkpoint: Path, flow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = 10
    calibration = Calibration(
        level=0.8, corpus="somewhere", split="validation", shard_fingerprint="6" * 64, samples=31,
        factors=((1.0, 2.0),) * 2 + ((3.0, 4.0),),
    )  # fmt: skip
    model = Surrogate.from_pretrained(checkpoint)
    record = board_record("seedling", 0.5, load_tasks()["bands_fno_ns_1e-5"])
    facts = record.model.model_copy(update={"fingerprint": model.fingerprint})
    record = record.model_copy(update={"model": facts, "calibration": calibration})
    values = {record.task.headline: np.full(8, 0.5)}
    samples = SampleValues(tuple("abcdefgh"), values, np.ones((8, frames)), None)
    save_results(tmp_path / "bands.json", [(record, samples)])
    words = ["predict", str(checkpoint), str(flow), *AXES, "--steps", "4"]
    bands = ["--bands", str(tmp_path / "bands.json")]
    assert main([*words, *bands, "--output", str(tmp_path / "a.npz")]) == 0
    assert "80% from 1 member, widened until they held as much of 31 trajectories of somewhere" in (
        capsys.readouterr().out
    )
    with np.load(tmp_path / "a.npz") as stored:
        for name, factors in (("u", (1, 1, 3, 3)), ("v", (2, 2, 4, 4))):  # the last one goes on
            half = (stored[f"{name}_high"] - stored[f"{name}_low"]) / 2
            wanted = [f * frame.std() for f, frame in zip(factors, stored[name], strict=True)]
            np.testing.assert_allclose(half, np.array(wanted)[:, None, None] * np.ones((24, 32)),
                                       rtol=1e-3)  # fmt: skip
    assert main([*words, *bands, "--members", "2", "--output", str(tmp_path / "b.npz")]) == 2
    assert "no bands of this checkpoint with these members" in capsys.readouterr().err
    assert main([*words, *bands, "--like", "it", "--output", str(tmp_path / "c.npz")]) == 2
    assert "bands of somewhere; name one" in capsys.readouterr().err
