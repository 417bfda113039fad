"""`foundation import-reference` and `export-reference`, from words to exit codes."""

import json
import os

import pytest
import torch
from architectures import config_of, network_of
from reference_files import write_pth

from foundation.checkpoint.folder import save_folder
from foundation.published.published_file import open_published
from launchers.cli import main


@pytest.fixture
def checkpoint(tmp_path):
    network = network_of("dpot", seed=4, resolution=8, modes=2)
    config = config_of("dpot", resolution=8, modes=2)
    save_folder(tmp_path / "ours", config, network.state_dict(), {})
    return tmp_path / "ours"


def test_a_checkpoint_goes_out_and_comes_back(checkpoint, tmp_path, capsys):
    file, again = tmp_path / "model.pth", tmp_path / "again"
    assert main(["export-reference", str(checkpoint), str(file)]) == 0
    assert main(["import-reference", str(file), str(again)]) == 0
    said = capsys.readouterr()
    assert "dpot: width 16, 2 blocks, 2 heads" in said.out
    assert said.err == ""
    before, after = (folder / "model.safetensors" for folder in (checkpoint, again))
    assert before.read_bytes() == after.read_bytes()


def test_assumptions_are_said_on_stderr_and_options_end_them(checkpoint, tmp_path, capsys):
    file = tmp_path / "model.pth"
    assert main(["export-reference", str(checkpoint), str(file)]) == 0
    weights = open_published(file).weights
    bare = write_pth(tmp_path / "bare.pth", weights)
    capsys.readouterr()
    assert main(["import-reference", str(bare), str(tmp_path / "a"), "--json"]) == 0
    said = capsys.readouterr()
    assert "note: modes=32: not in the file" in said.err
    values = json.loads(said.out)
    assert values["model"]["modes"] == 32
    assert values["about"]["imported"]["assumed"] == {"modes": 32, "act": "gelu"}
    assert main(["import-reference", str(bare), str(tmp_path / "b"), "--modes", "2"]) == 0
    assert "modes" not in capsys.readouterr().err


class Harm:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_file_that_means_harm_gives_one_line_and_exit_code_2(tmp_path, capsys):
    marker, file = tmp_path / "was_here", tmp_path / "model.pth"
    torch.save({"model": Harm(f"touch {marker}")}, file)
    assert main(["import-reference", str(file), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not marker.exists()
    assert not (tmp_path / "out").exists()


def test_a_layer_gate_is_refused_by_name(tmp_path, capsys):
    network = network_of("moe_pot", seed=4)
    save_folder(tmp_path / "ours", config_of("moe_pot"), network.state_dict(), {})
    assert main(["export-reference", str(tmp_path / "ours"), str(tmp_path / "m.pth")]) == 2
    assert "router.gate_norm=layer" in capsys.readouterr().err
    assert not (tmp_path / "m.pth").exists()


@pytest.mark.parametrize("verb", ["import-reference", "export-reference"])
def test_help_shows_examples(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert f"foundation {verb} " in capsys.readouterr().out.split("examples:")[1]
