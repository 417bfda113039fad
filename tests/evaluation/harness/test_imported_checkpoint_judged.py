"""A checkpoint that came as a published file is judged by the same code, with the same result."""

import json

import pytest
from architectures import config_of, network_of

from foundation import Surrogate
from foundation.published.published import export_published, import_published
from launchers.cli import main


@pytest.mark.parametrize("name", ["moe_pot", "dpot"])
def test_a_network_and_its_import_have_the_same_score_and_fingerprint(shards, tmp_path, name):
    options = {"router": {"gate_norm": "batch"}} if name == "moe_pot" else {}
    network = network_of(name, seed=4, **options)
    if name == "moe_pot":
        network.training_step.fill_(1_000_000)
    ours, again, output = tmp_path / "ours", tmp_path / "again", tmp_path / "run.json"
    Surrogate(network, config_of(name, **options), {}).save_pretrained(ours)
    export_published(ours, tmp_path / "model.pth")
    import_published(tmp_path / "model.pth", again)
    command = ["evaluate", str(ours), str(again), "--shards", str(shards), "--protocol", "own"]
    task = ["--tasks", "zero_shot_pdebench_cns_m0.1", "--output", str(output)]
    assert main([*command, *task]) == 0
    first, second = json.loads(output.read_text())["records"]
    assert first["scores"]["l2re"]["value"] == second["scores"]["l2re"]["value"] > 0
    assert first["model"]["fingerprint"] == second["model"]["fingerprint"]
    assert first["task_hash"] == second["task_hash"]
    # Left to itself, the import is judged as its authors judge, which is another test.
    command = ["evaluate", str(again), "--shards", str(shards), *task[:2]]
    assert main([*command, "--output", str(tmp_path / "theirs.json")]) == 0
    (theirs,) = json.loads((tmp_path / "theirs.json").read_text())["records"]
    assert theirs["task"]["protocol"] == "reference"
    assert theirs["task_hash"] != first["task_hash"]
