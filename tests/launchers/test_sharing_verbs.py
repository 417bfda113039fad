"""`foundation export`, `card`, `push`, `pull` and `push-shards`, as they are typed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_hub import TOKEN, only_hub
from runs import write_checkpoint

from foundation import Surrogate
from launchers.cli import main
from launchers.verbs import SUMMARIES

REPO = "somebody/nano"
CONFIG = """preset: nano
world: 4
ep_size: 2
shards: /home/me/secret/six
deepspeed_config: /home/me/zero1.json
run: {}
"""

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with only_hub(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_checkpoint(tmp_path / "nano", "fno")


def test_a_checkpoint_goes_round_through_shards_card_and_hub(hub, folder, tmp_path, capsys):
    split, mine = tmp_path / "split", tmp_path / "mine"
    assert main(["export", str(folder), str(split), "--max-shard-size", "10KB", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["fingerprint"] == Surrogate.from_pretrained(folder).fingerprint
    assert main(["card", str(split), "--license", "mit"]) == 0
    assert main(["push", str(split), REPO, "--token", TOKEN, "--private"]) == 0
    assert "pushed: http" in capsys.readouterr().out
    assert main(["pull", REPO, str(mine), "--token", TOKEN]) == 0
    assert Surrogate.from_pretrained(mine).fingerprint == made["fingerprint"]
    assert "license: mit" in (mine / "README.md").read_text()
    assert len(list(mine.glob("model-*.safetensors"))) > 1


def test_a_finished_run_is_exported_with_how_it_was_launched(folder, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copytree(folder, tmp_path / "run" / "model")
    (tmp_path / "run" / "config.yaml").write_text(CONFIG)
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "out")]) == 0
    about = Surrogate.from_pretrained(tmp_path / "out").about
    launch = {"shards": "six", "ep_size": 2, "deepspeed_config": "zero1.json", "world": 4}
    assert about["launch"] == launch, "no path of this machine is shared"
    weights = tmp_path / "out" / "model.safetensors"
    assert weights.stat().st_mode & 0o777 == 0o644
    card = (tmp_path / "out" / "README.md").read_text()
    assert "--num_accelerators 4 launchers/pretrain.py --preset test" in card


def test_an_export_whose_card_cannot_be_written_leaves_nothing(folder, tmp_path, capsys):
    one = {"corpus": "a", "split": "train", "windows": 1, "trajectories": 1, "shards": "0" * 64}
    others = {"model": "f" * 64, "temperature": 1.0, "context_frames": 10, "start": "random"}
    others["corpora"] = [{**one, "probabilities": [[0.5, 0.5]]}]
    (tmp_path / "routes.json").write_text(json.dumps(others))
    words = ["export", str(folder), str(tmp_path / "out")]
    assert main([*words, "--fingerprints", str(tmp_path / "routes.json")]) == 2
    assert "the fingerprints are of model ffffffffff" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(words) == 0


def test_shards_go_up_with_their_card(hub, waves, capsys):
    assert main(["push-shards", str(waves), "somebody/waves", "--token", TOKEN, "--quick"]) == 0
    assert capsys.readouterr().out == f"pushed: {hub.endpoint}/datasets/somebody/waves\n"
    assert b"configs:" in hub.repositories["somebody/waves"].files["README.md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["push", "{nano}", REPO], "no permission|no such repository"),
        (["push", "{tmp}/nowhere", REPO, "--token", TOKEN], "not a checkpoint folder"),
        (["push", "{nano}", "nano", "--token", "x"], "not a hub id"),
        (["pull", REPO, "{tmp}/mine"], "no such repository"),
        (["pull", REPO, "{nano}"], "exists already"),
        (["pull", "{nano}", "{tmp}/mine"], "is a folder here"),
        (["export", "{nano}", "{nano}"], "exists already"),
        (["export", "{tmp}/nowhere", "{tmp}/out"], "no such training folder"),
        (["export", "{tmp}", "{tmp}/out"], "no checkpoints in it"),
        (["export", "{nano}", "{tmp}/out", "--checkpoint", "step-3"], "no checkpoints in it"),
        (["export", "{nano}", "{tmp}/out", "--max-shard-size", "big"], "a size such as"),
        (["export", "{nano}", "{tmp}/out", "--records", "{tmp}/none"], "no such file"),
        (["card", "{tmp}/nowhere"], "not a checkpoint folder"),
        (["push-shards", "{nano}", "a/b"], "manifest"),
    ],
)
def test_a_fault_is_one_line_and_exit_code_two(hub, folder, tmp_path, capsys, arguments, message):
    words = [word.format(nano=folder, tmp=tmp_path) for word in arguments]
    before = sorted(tmp_path.rglob("*"))
    assert main(words) == 2
    errors = capsys.readouterr().err.splitlines()
    assert any(part in errors[-1] for part in message.split("|")), errors
    assert errors[-1].startswith("error: ")
    after = sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts)
    assert after == before


@pytest.mark.parametrize("verb", ["export", "card", "push", "pull", "push-shards"])
def test_help_shows_examples(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"  foundation {verb} " in text
    assert SUMMARIES[verb][1:] in " ".join(text.split())


def test_sharing_needs_neither_deepspeed_nor_a_compiler(folder, tmp_path):
    """Both take seconds to load, and users of a checkpoint need not have the first."""
    words = ["export", str(folder), str(tmp_path / "out")]
    code = (
        "import sys; from launchers.cli import main; "
        f"assert main({words!r}) == 0; "
        "assert not {'deepspeed', 'torch._dynamo'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
