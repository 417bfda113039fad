"""`foundation predict` and `foundation fingerprint` on files of a user's own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from box_flows import box_network
from own_files import places, waves, write_arrays, write_waves
from PIL import Image
from runs import write_checkpoint

from foundation import Surrogate
from foundation.checkpoint.folder import save_folder
from launchers.cli import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_checkpoint(tmp_path_factory.mktemp("verbs") / "model"))


def test_a_forecast_comes_with_pictures_and_a_report(
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_waves(tmp_path / "flow.npz", dtype="f8")
    output = tmp_path / "out" / "flow_forecast.npz"
    output.parent.mkdir()
    monkeypatch.chdir(output.parent)
    assert main(["predict", checkpoint, str(path), "--steps", "4"]) == 0
    printed = capsys.readouterr()
    assert "Verdict:" in printed.out
    assert "assumed: u0, u1 read as (t, y, x): 13 frames of 12 rows x 20 columns" in printed.err
    with np.load(output) as file:
        assert file["u0"].shape == (4, 12, 20)
        assert file["u0"].dtype == np.float64
        assert np.isfinite(file["u1"]).all()
        np.testing.assert_allclose(file["t"], places()["t"][-1] + 0.25 * np.arange(1, 5))
        beside = file["forecast_error"]
    report = json.loads(output.with_suffix(".report.json").read_text())
    np.testing.assert_allclose(beside[:3], [row["expected"] for row in report["by_frame"]])
    assert np.isnan(beside[3:]).all()  # as far as known frames reach
    assert report["verdict"]["sentence"] in output.with_suffix(".report.txt").read_text()
    with Image.open(output.with_suffix(".gif")) as film:
        assert film.n_frames == 10 + 4  # what the model saw, and the forecast
    with Image.open(output.with_suffix(".png")) as sheet:
        assert np.asarray(sheet.convert("L")).std() > 10  # drawn, not blank
    assert len(list(output.parent.iterdir())) == 5


def test_a_forecast_in_bfloat16_is_that_of_float32_but_for_its_rounding(
    checkpoint: str, tmp_path: Path
) -> None:
    path = write_waves(tmp_path / "flow.npz")
    fields = []
    for options in ([], ["--bf16"]):
        output = tmp_path / f"forecast{len(options)}.npz"
        command = ["predict", checkpoint, str(path), "--steps", "2", "--output", str(output)]
        assert main([*command, *options]) == 0
        with np.load(output) as file:
            fields.append(file["u0"])
    error = np.linalg.norm(fields[1] - fields[0]) / np.linalg.norm(fields[0])
    assert 0 < error < 2**-5


def test_a_forecast_that_diverges_is_written_and_told(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Surrogate.from_pretrained(checkpoint)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e20)
    model.save_pretrained(tmp_path / "wild")
    path, output = write_waves(tmp_path / "flow.h5"), tmp_path / "forecast.h5"
    command = ["predict", str(tmp_path / "wild"), str(path), "--steps", "2"]
    assert main([*command, "--output", str(output)]) == 0
    printed = capsys.readouterr()
    assert "warning: the forecast is not finite from its frame 1 on" in printed.err
    assert "do not use the forecast" in printed.out
    report = json.loads(output.with_suffix(".report.json").read_text())
    assert report["by_frame"][0]["median"] == "inf"
    assert output.with_suffix(".gif").exists()


def test_nothing_is_overwritten_unasked(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = write_waves(tmp_path / "flow.h5"), tmp_path / "forecast.h5"
    command = ["predict", checkpoint, str(path), "--steps", "1", "--output", str(output)]
    output.with_suffix(".png").write_text("mine")
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert not output.exists()
    assert main([*command, "--overwrite"]) == 0
    assert main([*command[:-1], str(path), "--overwrite"]) == 2
    assert "itself" in capsys.readouterr().err


def test_fingerprint_gives_the_report_alone(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_waves(tmp_path / "flow.h5")
    assert main(["fingerprint", checkpoint, str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["grid"] == [12, 20]
    assert len(report["by_frame"]) == 3
    assert main(["fingerprint", checkpoint, str(path)]) == 0
    assert report["verdict"]["sentence"] in capsys.readouterr().out
    assert [each.name for each in tmp_path.iterdir()] == ["flow.h5"]


@pytest.mark.parametrize(
    ("arrays", "options", "fault"),
    [
        ({"u": waves()[:, 0]}, [], "say which by --axes"),
        ({"u": waves()[:, 0]}, ["--axes", "t,y"], "t and x among them"),
        ({"u": waves(frames=9)[:, 0]}, ["--axes", "t,y,x"], "the model needs 10"),
        ({"u": waves()[:, 0], **places()}, ["--channels", "w,u"], "unknown array 'w'"),
        ({"u": waves()[:, 0], **places()}, ["--mask", "w"], "neither a file nor"),
        ({"u": waves()[:, 0], **places()}, ["--sample", "1"], "--sample 1, it holds 1"),
    ],
)
def test_a_fault_is_one_line_and_exit_code_2(
    arrays: dict[str, np.ndarray],
    options: list[str],
    fault: str,
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_arrays(tmp_path / "flow.h5", arrays)
    output = tmp_path / "forecast.h5"
    command = ["predict", checkpoint, str(path), "--steps", "1", "--output", str(output)]
    assert main([*command, *options]) == 2
    errors = [
        line for line in capsys.readouterr().err.splitlines() if not line.startswith("assumed")
    ]
    assert len(errors) == 1
    assert fault in errors[0]
    assert [each.name for each in tmp_path.iterdir()] == ["flow.h5"]


@pytest.mark.parametrize("verb", ["predict", "fingerprint"])
def test_a_model_of_boxes_reads_no_planes(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "boxes"
    network = box_network("shodh_moe")
    save_folder(folder, network.config, network.state_dict(), {})
    more = ["--steps", "2", "--output", str(tmp_path / "out.npz")] if verb == "predict" else []
    assert main([verb, str(folder), str(write_waves(tmp_path / "flow.npz")), *more]) == 2
    assert "a shodh_moe of boxes, and files are read as planes" in capsys.readouterr().err


def test_a_folder_is_no_output_and_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (str(tmp_path), "."):
        assert main(["predict", "no-model", "no-file.h5", "--output", folder]) == 2
        said = capsys.readouterr().err
        assert f"error: {folder}: a folder; give --output the name of a file" in said
