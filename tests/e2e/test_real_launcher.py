"""The commands that a user types, through the real DeepSpeed launcher."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from travelling_waves import CORPORA

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.dist
_PATIENCE_S = 150


def command(shards: Path, output: Path, *extra: str) -> list[str]:
    launcher = Path(sys.executable).with_name("deepspeed")
    return [
        *(str(launcher), "--num_accelerators", "2", "--master_port", "29617"),
        *("launchers/pretrain.py", "--preset", "debug", "--ep_size", "2"),
        *("--shards", str(shards), "--output", str(output)),
        *(f"data.corpora=[{','.join(CORPORA)}]", "log_every=1", *extra),
    ]


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"DS_ACCELERATOR": "cpu", "PATH": path}


def steps(output: Path) -> list[int]:
    path = output / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [row["step"] for row in rows if row["kind"] == "train"]


def wait_for_step(output: Path, step: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not steps(output) or steps(output)[-1] < step:
        assert time.monotonic() < deadline, f"no step {step} in {_PATIENCE_S} s"
        time.sleep(0.2)


def test_sigterm_saves_and_a_resumed_run_goes_on_with_the_next_step(waves, tmp_path):
    shards, output = waves, tmp_path / "run"
    endless = command(shards, output, "steps=100000", "checkpoint.every=100000")
    run = subprocess.Popen(
        endless,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_step(output, 3)
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=_PATIENCE_S)
    assert "saved; go on with --resume" in said
    last = steps(output)[-1]
    saved = output / "checkpoints" / f"step-{last:08d}" / "checkpoint.json"
    assert saved.is_file()

    resumed = subprocess.run(
        command(shards, output, f"steps={last + 2}", "--resume"),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert resumed.returncode == 0, resumed.stderr
    assert steps(output) == list(range(1, last + 3))
    assert (output / "model" / "model.safetensors").is_file()


def test_a_users_error_reaches_the_shell_as_exit_code_two(tmp_path):
    failed = subprocess.run(
        command(tmp_path, tmp_path / "run", "--ep_size", "16"),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert failed.returncode == 2
    said = [line for line in failed.stderr.splitlines() if line.startswith("error:")]
    assert len(said) == 1, "one rank speaks for all"
    assert "ep_size=16 does not divide the 2 ranks" in said[0]
