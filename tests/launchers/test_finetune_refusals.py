"""What a user can get wrong before fine-tuning: one line, exit code 2, nothing written."""

from pathlib import Path

import pytest
from runs import write_checkpoint

from launchers.finetune import build_parser, main


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--checkpoint": "{tmp}/run"}, "a training folder; its checkpoint is"),
        ({"--checkpoint": "{tmp}/none"}, "no such checkpoint folder"),
        ({"--checkpoint": "{tmp}/empty"}, "it holds no config.json"),
        ({"--checkpoint": "{tmp}/weightless"}, "model.safetensors is missing"),
        ({"--corpus": "toy_wav"}, "unknown corpus 'toy_wav'; did you mean 'toy_wave'"),
        ({"--shards": "{tmp}/nowhere"}, "no such folder"),
        ({"--trajectories": "13"}, "its train split has 12; ask for at most 12"),
        ({"--recipe": "finetunes"}, "unknown recipe 'finetunes'; did you mean 'finetune'"),
        ({"--router": "frozen", "--from_scratch": None}, "initial weights route at random"),
        ({"--steps": "3", "epochs=3": None}, "contradict each other"),
        ({"early_stopping.held_out=6": None}, "hold out at most 5"),
        ({"--resume": None}, "nothing to resume"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_written(
    waves: Path, tmp_path: Path, capsys, options, message
):
    write_checkpoint(tmp_path / "run" / "model")
    write_checkpoint(tmp_path / "weightless")
    (tmp_path / "weightless" / "model.safetensors").unlink()
    (tmp_path / "empty").mkdir()
    given = {
        "--checkpoint": "{tmp}/run/model",
        "--corpus": "toy_wave",
        "--shards": str(waves),
        "--output": "{tmp}/out",
        **options,
    }
    words = [word for pair in given.items() for word in pair if word is not None]
    assert main([word.format(tmp=tmp_path) for word in words]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    assert message in said
    assert not (tmp_path / "out").exists()


def test_help_shows_the_command(capsys):
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args(["--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "deepspeed --num_accelerators 2 launchers/finetune.py" in said
    assert "downstream, finetune, published, or a file" in said
