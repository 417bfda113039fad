"""What a drill does where, and what it takes for equal."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import write_checkpoint
from safetensors.torch import load_file, save_file

from launchers.cli import main
from launchers.training.drill import Trial, counts, difference, logged
from launchers.training.fault import Fault


def finished(folder: Path, loss: float = 0.5, seconds: float = 1.0) -> Path:
    write_checkpoint(folder / "model")
    rows = [{"kind": "train", "step": 1, "loss": loss, "seconds_per_step": seconds}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("drill") / "alone")


def test_runs_that_differ_in_their_clocks_alone_are_equal(reference, tmp_path):
    assert difference(finished(tmp_path / "run", seconds=2.0), reference) is None


def test_one_logged_number_tells_runs_apart(reference, tmp_path):
    assert difference(finished(tmp_path / "run", loss=0.6), reference) == "train at step 1"


def test_one_weight_tells_runs_apart(reference, tmp_path):
    run = shutil.copytree(reference, tmp_path / "run")
    path = run / "model" / "model.safetensors"
    weights: dict[str, torch.Tensor] = load_file(path)
    name = sorted(weights)[0]
    weights[name].view(-1)[0] += 1e-3
    save_file(weights, path)
    (run / "model" / "SHA256SUMS").unlink()
    assert difference(run, reference) == name


def test_a_run_without_weights_is_not_finished(reference, tmp_path):
    run = shutil.copytree(reference, tmp_path / "run")
    shutil.rmtree(run / "model")
    assert difference(run, reference) == "no weights"
    (run / "metrics.jsonl").write_text('{"kind": "tr')
    assert logged(run) == []
    assert difference(run, reference) == "0 lines logged, not 1"


def test_faults_are_functions_of_seed_and_number_and_no_launcher_is_stopped():
    faults = [Fault.drawn(0, trial, 2, 10.0) for trial in range(300)]
    assert faults == [Fault.drawn(0, trial, 2, 10.0) for trial in range(300)]
    assert faults != [Fault.drawn(1, trial, 2, 10.0) for trial in range(300)]
    assert all(0 <= fault.after_s <= 10 for fault in faults)
    came = {(fault.kind, fault.target) for fault in faults}
    targets = {"rank 0", "rank 1", "runner", "launcher"}
    assert came == {(kind, target) for kind in ("KILL", "TERM") for target in targets} | {
        ("STOP", "rank 0"),
        ("STOP", "rank 1"),
    }


def test_faults_are_of_the_kinds_that_were_asked_for():
    faults = [Fault.drawn(0, trial, 2, 10.0, ["KILL"]) for trial in range(100)]
    assert {(fault.kind, fault.target) for fault in faults} == {
        ("KILL", target) for target in ("rank 0", "rank 1", "runner", "launcher")
    }


def test_a_run_of_one_rank_has_no_launcher():
    faults = [Fault.drawn(0, trial, 1, 10.0) for trial in range(100)]
    assert {(fault.kind, fault.target) for fault in faults} == {
        (kind, "rank 0") for kind in ("KILL", "TERM", "STOP")
    }


def test_counts_leave_out_faults_that_came_too_late():
    def trial(kind: str, **changed: Any) -> Trial:
        values = {"step": 3, "came": True, "starts": 2, "code": 0, "difference": None}
        return Trial(kind, "rank 0", **{**values, **changed})

    found = counts(
        [
            *(trial("KILL"), trial("KILL", step=None), trial("KILL", came=False)),
            *(trial("TERM", difference="train at step 1"), trial("STOP", code=1, difference="no")),
        ]
    )
    assert found == {
        "KILL": {"trials": 2, "before_a_step": 1, "not_finished": 0, "not_equal": 0},
        "TERM": {"trials": 1, "before_a_step": 0, "not_finished": 0, "not_equal": 1},
        "STOP": {"trials": 1, "before_a_step": 0, "not_finished": 1, "not_equal": 0},
    }


def test_a_drill_on_other_terms_is_no_other_drills_result(tmp_path, capsys):
    record = {
        "preset": "debug",
        "ranks": 2,
        "ep_size": 2,
        "seed": 0,
        "hung_after": 1.0,
        "overrides": ["steps=12"],
        "trials": [],
    }
    command = ["drill", "--preset", "debug", "--shards", "none", "--output", str(tmp_path)]
    (tmp_path / "drill.json").write_text(json.dumps(record))
    assert main([*command, "--hung-after", "1", "steps=99"]) == 2
    said = capsys.readouterr().err
    assert "holds another drill (overrides was ['steps=12'], now ['steps=99'])" in said
    assert main([*command, "--hung-after", "1", "--kinds", "kill", "steps=12"]) == 2
    said = capsys.readouterr().err
    assert "kinds was ['KILL', 'TERM', 'STOP'], now ['KILL']" in said, "a record of before has all"
    with pytest.raises(SystemExit):
        main([*command, "--kinds", "KILL,HUP"])
    assert "'HUP' is none of KILL, TERM, STOP" in capsys.readouterr().err
    (tmp_path / "drill.json").write_text("{")
    assert main(command) == 2
    assert "drill.json: damaged" in capsys.readouterr().err
