"""`foundation breakeven` on a training in small: measured, written, shown on the board."""

import json
from pathlib import Path

import pytest

from data_shards.shards.manifest import read_manifest
from evaluation.board.leaderboard import write_leaderboard
from foundation import Surrogate
from foundation.models.registry import build_model, read_model_config
from foundation.train.config import RunConfig
from foundation.train.run_folder import Job, Launch, write_run
from launchers.cli import main

NAME = "vorticity_decaying"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine frames of a flow on 16 cells, to learn from and to judge."""
    folder = tmp_path_factory.mktemp("shards")
    words = ["shards", "generate", NAME, "--profile", "small", "--split", "train", "test"]
    few = ["--trajectories", "1", "--resolution", "16", "--workers", "1", "--out", str(folder)]
    assert main([*words, *few]) == 0
    return folder


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training folder of two ranks and 40 steps of half a second."""
    folder = tmp_path_factory.mktemp("runs") / "seedling"
    sizes = {"model_type": "fno", "resolution": 16, "width": 8, "layers": 1, "modes": 4}
    sizes |= {"context_frames": 1, "channels": 1}
    config = read_model_config(sizes, "test")
    network = build_model(config, seed=0)
    Surrogate(network, config, {"corpora": [NAME]}).save_pretrained(folder / "model")
    entry = read_manifest(shards).find(NAME, "train")
    assert entry is not None
    job = Job(RunConfig(model=config, steps=40), build_model, {"preset": "debug"})
    launch = Launch(str(shards), {NAME: "0" * 64}, 1, "zero1", 2, {NAME: entry.meaning})
    write_run(folder, job, launch)
    rows = [{"kind": "train", "step": step, "seconds_per_step": 0.5} for step in (10, 40)]
    text = "".join(f"{json.dumps(row)}\n" for row in [*rows, {"kind": "validation", "step": 40}])
    (folder / "metrics.jsonl").write_text(text)
    return folder


def test_a_training_is_weighed_against_its_solver(
    run: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "records" / "b.json"
    words = ["breakeven", str(run), "--shards", str(shards), "--trajectories", "1"]
    more = ["--base", str(run), "--trials", "3", "--rank-price", "2", "--device", "cpu"]
    assert main([*words, *more, "--output", str(output)]) == 0
    told = capsys.readouterr().out
    found = json.loads(output.read_text())
    assert found["training"]["steps"] == 40
    assert found["training"]["seconds"] == 0.5 * 40 * 2 * 2  # steps, ranks, price
    assert found["training"]["trajectories"] == {NAME: 1}
    assert found["training"]["data_seconds"] > 0
    (cost,) = found["costs"]
    assert [each["cells"] for each in cost["solver"]] == [8, 12, 16, 64]
    assert cost["solver"][-1]["error"] < 1e-6
    errors = [float(each["error"]) for each in cost["solver"]]
    assert errors == sorted(errors, reverse=True)
    # An untrained network errs as much as anything: the coarsest solver will do.
    assert "8 cells or fewer" in told
    assert "3 trials" in told
    assert main([*words, "--output", str(output)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--shards", "SHARDS"], "no training folder"),
        (["RUN", "--shards", "SHARDS", "--corpora", "pdebench_swe"], "no test shards of"),
    ],
)
def test_what_cannot_be_weighed_is_refused(
    words: list[str],
    message: str,
    run: Path,
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"RUN": str(run), "SHARDS": str(shards)}
    command = ["breakeven", *(places.get(word, word) for word in words)]
    assert main([*command, "--output", str(tmp_path / "x.json")]) == 2
    assert message in capsys.readouterr().err


def test_the_board_has_a_chapter_of_it(run: Path, shards: Path, tmp_path: Path) -> None:
    records = tmp_path / "records"
    judge = ["evaluate", str(run / "model"), "floor:persistence", "--shards", str(shards)]
    tasks = ["--tasks", f"constrained_{NAME}", "--output", str(records / "r.json")]
    assert main([*judge, *tasks]) == 0
    weigh = ["breakeven", str(run), "--shards", str(shards), "--trajectories", "1"]
    assert main([*weigh, "--device", "cpu", "--output", str(records / "b.json")]) == 0
    write_leaderboard(records, tmp_path / "board")
    page = (tmp_path / "board" / "index.html").read_text()
    assert "When a training pays" in page
    assert "arXiv 2605.15399" in page
