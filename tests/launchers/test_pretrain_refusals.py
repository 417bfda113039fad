"""What a user can get wrong at the start of a run: one line, exit code 2, nothing damaged."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from travelling_waves import CORPORA

from foundation.train.config import load_run_config
from launchers import finetune, pretrain
from launchers.pretrain import main

CORPORA_SETTING = f"data.corpora=[{','.join(CORPORA)}]"


def checksums(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that the launcher prints while it exits with 2."""
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    return said


def start(shards: Path, output: Path, *extra: str, preset: str = "debug") -> list[object]:
    return ["--preset", preset, "--shards", shards, "--output", output, CORPORA_SETTING, *extra]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["data.corpora=[toy_wav]"], "unknown corpus"),
        (["stepps=3"], "did you mean 'steps'"),
        (["--ep_size", "3"], "ep_size=3 does not divide the 1 ranks; choose one of 1"),
        (["--ep_size", "0"], "ep_size=0 does not divide"),
        (["validation.horizon=50"], "validation"),
        (["data.split=tset"], "data.split"),
        (["--deepspeed_config", "ds_configs/zero1.json"], "no such DeepSpeed configuration"),
        (["model.channels=1"], "raise the model's channels"),
        (["model.context_frames=16"], "16 frames, a window takes"),
        (["--resume"], "nothing to resume"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_written(
    waves, tmp_path, capsys, extra, message
):
    before = checksums(waves)
    assert message in refused(capsys, *start(waves, tmp_path / "run", *extra))
    assert not (tmp_path / "run").exists()
    assert checksums(waves) == before


@pytest.mark.parametrize("launcher", [pretrain, finetune])
def test_an_output_that_does_not_do_is_refused_before_anything_is_fetched(
    tmp_path, capsys, launcher
):
    """Neither the shards nor the checkpoint are there, and nobody asks for them."""
    (tmp_path / "file").write_text("")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "config.yaml").write_text("{}")
    what = ["--checkpoint", str(tmp_path / "none"), "--corpus", CORPORA[0]]
    words = what if launcher is finetune else ["--preset", "debug"]
    words += ["--shards", str(tmp_path / "none"), "--output"]
    for output, extra, message in (
        ("file", [], "is a file; give --output the name of a folder"),
        ("used", [], "holds a run already"),
        ("new", ["--resume"], "nothing to resume"),
    ):
        assert launcher.main([*words, str(tmp_path / output), *extra]) == 2
        assert message in capsys.readouterr().err


def test_an_unknown_preset_is_refused_with_the_nearest_one(waves, tmp_path, capsys):
    said = refused(capsys, *start(waves, tmp_path / "run", preset="nanoo"))
    assert "unknown preset 'nanoo'; did you mean 'nano'" in said


def test_a_folder_without_shards_is_refused(tmp_path, capsys):
    said = refused(capsys, *start(tmp_path, tmp_path / "run"))
    assert "manifest.json" in said


def the_shard(folder: Path) -> Path:
    return next(folder.glob("toy_duct-train-*.tar"))


def truncated(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-512])


def grown(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes() + bytes(512))


def flipped(shard: Path) -> None:
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


@pytest.mark.parametrize("damage", [Path.unlink, truncated, grown, flipped])
def test_a_missing_or_changed_shard_is_named(waves, tmp_path, capsys, damage):
    copy = shutil.copytree(waves, tmp_path / "copy")
    shard = the_shard(copy)
    damage(shard)
    assert shard.name in refused(capsys, *start(copy, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"zero_optimization": {"stage": 3}}, "expert parallelism works with 0, 1 and 2"),
        ({"zero_optimization": {"stage": 0}, "bf16": {"enabled": True}}, "ZeRO 0 steps bf16 late"),
        ({"fp16": {"enabled": True}}, "use bf16"),
        ({"train_batch_size": 8}, "remove it"),
        ({"gradient_accumulation_steps": 4}, "gradient_accumulation_steps is 4"),
    ],
)
def test_a_deepspeed_file_that_would_train_wrongly_is_refused(
    waves, tmp_path, capsys, settings, message
):
    path = tmp_path / "ds.json"
    path.write_text(json.dumps(settings))
    arguments = start(waves, tmp_path / "run", "--deepspeed_config", str(path))
    assert message in refused(capsys, *arguments)


def test_a_deepspeed_file_that_is_not_json_is_refused(waves, tmp_path, capsys):
    (tmp_path / "ds.json").write_text("{")
    arguments = start(waves, tmp_path / "run", "--deepspeed_config", str(tmp_path / "ds.json"))
    assert "not readable as JSON" in refused(capsys, *arguments)


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A training folder as a run leaves it, as far as its configuration goes."""
    run = load_run_config("debug", [CORPORA_SETTING])
    (tmp_path / "run").mkdir()
    values = {"run": run.model_dump(mode="json")}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "run"


@pytest.mark.parametrize("text", ["", "run: 3", "[", "- run"])
def test_a_broken_config_of_the_folder_is_named(waves, used, capsys, text):
    (used / "config.yaml").write_text(text)
    assert "config.yaml" in refused(capsys, *start(waves, used, "--resume"))


def test_checkpoints_without_a_configuration_are_not_trained_over(waves, tmp_path, capsys):
    (tmp_path / "run" / "checkpoints" / "step-00000004").mkdir(parents=True)
    assert "holds a run already" in refused(capsys, *start(waves, tmp_path / "run"))


def test_other_shards_than_the_runs_are_refused(waves, used, capsys):
    values = yaml.safe_load((used / "config.yaml").read_text())
    values["shards_sha256"] = dict.fromkeys(CORPORA, "0" * 64)
    (used / "config.yaml").write_text(yaml.safe_dump(values))
    assert "shards_sha256.toy_duct was" in refused(capsys, *start(waves, used, "--resume"))


def test_a_used_folder_is_not_trained_into_without_resume(waves, used, capsys):
    assert "holds a run already; go on with --resume" in refused(capsys, *start(waves, used))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.width=64", "model.width was 32, now 64"),
        ("model.router.top_k=2", "model.router.top_k was 4, now 2"),
        ("seed=3", "seed was 0, now 3"),
        ("global_batch=16", "global_batch was 8, now 16"),
        ("data.weights=proportional", "data.weights was 'balanced', now 'proportional'"),
    ],
)
def test_a_resume_with_another_configuration_is_refused(waves, used, capsys, change, message):
    before = checksums(used)
    said = refused(capsys, *start(waves, used, "--resume", change))
    assert message in said
    assert "start anew" in said
    assert checksums(used) == before


def test_a_folder_that_another_process_trains_in_is_refused(waves, tmp_path, capsys):
    code = (
        "import sys, pathlib; from foundation.train.one_writer import only_writer\n"
        "with only_writer(pathlib.Path(sys.argv[1])): print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        said = refused(capsys, *start(waves, tmp_path / "run"))
        first.kill()
    assert f"process {first.pid} on" in said
    assert "is training there" in said
