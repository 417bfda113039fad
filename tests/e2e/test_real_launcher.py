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

from launchers.training.drill import find

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.dist
_PATIENCE_S = 150
SUPERVISE = (sys.executable, "-m", "launchers.cli", "supervise", "--pause", "0.1")


def command(shards: Path, output: Path, *extra: str, ranks: int = 2) -> list[str]:
    launcher = Path(sys.executable).with_name("deepspeed")
    return [
        *(str(launcher), "--num_accelerators", str(ranks), "--master_port", "29617"),
        *("launchers/pretrain.py", "--preset", "debug", "--ep_size", str(ranks)),
        *("--shards", str(shards), "--output", str(output)),
        *(f"data.corpora=[{','.join(CORPORA)}]", "log_every=1", *extra),
    ]


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"DS_ACCELERATOR": "cpu", "PATH": path}


def ended(words: list[str], timeout_s: float = _PATIENCE_S) -> "subprocess.CompletedProcess[str]":
    """What a user's command came to."""
    return subprocess.run(
        words,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


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

    # On one rank, which takes half as long to start.
    resumed = ended(command(shards, output, f"steps={last + 2}", "--resume", ranks=1))
    assert resumed.returncode == 0, resumed.stderr
    assert steps(output) == list(range(1, last + 3))
    assert (output / "model" / "model.safetensors").is_file()


def test_a_users_error_reaches_the_shell_as_exit_code_two(tmp_path):
    failed = ended(command(tmp_path, tmp_path / "run", "--ep_size", "16"))
    assert failed.returncode == 2
    said = [line for line in failed.stderr.splitlines() if line.startswith("error:")]
    assert len(said) == 1, "one rank speaks for all"
    assert "ep_size=16 does not divide the 2 ranks" in said[0]


def wait_for_process(runner: int, target: str) -> int:
    deadline = time.monotonic() + _PATIENCE_S
    while (pid := find(runner, target)) is None:
        assert time.monotonic() < deadline, f"no {target}"
        time.sleep(0.05)
    return pid


@pytest.mark.parametrize("victim", ["runner", pytest.param("launcher", marks=pytest.mark.slow)])
def test_ranks_that_import_leave_when_a_launcher_is_killed_and_the_command_fails(
    waves, tmp_path, victim
):
    run = subprocess.Popen(
        command(waves, tmp_path / "run", "steps=100000"),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for rank in range(2):
        wait_for_process(run.pid, f"rank {rank}")
    time.sleep(0.5)  # in the midst of torch
    os.kill(wait_for_process(run.pid, victim), signal.SIGKILL)
    said, _ = run.communicate(timeout=20)  # ends once all have let go of the pipe
    assert "stopped: the launcher is gone before the first step: nothing to save" in said
    assert run.returncode != 0
    assert not steps(tmp_path / "run")


DIES = """
import os, sys
if os.environ["LOCAL_RANK"] == "1" and {output!r} in " ".join(sys.argv):
    if os.path.exists({output!r} + "/config.yaml"):
        os._exit(9)  # a GPU that is lost, say
sys.path.insert(0, {root!r})
from launchers.pretrain import main
sys.exit(main())
"""


@pytest.mark.slow
def test_a_supervised_run_goes_on_on_fewer_ranks_if_one_does_not_come_back(waves, tmp_path):
    output, script = tmp_path / "run", tmp_path / "pretrain.py"
    script.write_text(DIES.format(output=str(output), root=str(ROOT)))
    whole = command(waves, output, "steps=12", "checkpoint.every=4", "validation.every=12")
    first = [word if word != "steps=12" else "steps=4" for word in whole]
    assert subprocess.run(first, cwd=ROOT, env=environment(), check=False).returncode == 0
    words = [str(script) if word == "launchers/pretrain.py" else word for word in whole]
    done = ended([*SUPERVISE, "--restarts", "3", "--", *words, "--resume"], 240)
    assert done.returncode == 0, done.stderr
    assert "2 starts on 2 ranks saved nothing; on 1 now, --ep-size 1" in done.stderr
    assert steps(output) == list(range(1, 13))


@pytest.mark.slow
def test_a_supervised_run_that_diverges_goes_on_at_a_lower_rate(waves, tmp_path):
    output = tmp_path / "run"
    words = ("--preset", "debug", "--shards", str(waves), "--output", str(output))
    words += (f"data.corpora=[{','.join(CORPORA)}]", "log_every=1")
    # a rate at which the loss leaps after the first checkpoint
    settings = ("steps=60", "checkpoint.every=5", "health.on_spike=stop", "health.window=4")
    settings += ("optimiser.lr=5", "schedule.kind=one_cycle", "validation.every=60")
    training = [sys.executable, "launchers/pretrain.py", *words, *settings]
    done = ended([*SUPERVISE, "--restarts", "4", "--lower-rate", "0.01", "--", *training], 240)
    assert done.returncode == 0, done.stderr
    assert "supervisor: the run diverged; optimiser.lr=0.05 from now on" in done.stderr
    assert steps(output) == list(range(1, 61))


@pytest.mark.slow
def test_a_drill_ends_as_if_nothing_had_happened(waves, tmp_path):
    words = ("--shards", str(waves), "--output", str(tmp_path), "--trials", "2", "--seed", "1")
    settings = (f"data.corpora=[{','.join(CORPORA)}]", "steps=40", "checkpoint.every=10")
    drill = [sys.executable, "-m", "launchers.cli", "drill", *words, "--hung-after", "0.4"]
    done = ended([*drill, *settings], 600)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = json.loads((tmp_path / "drill.json").read_text())["trials"]
    assert len(trials) == 2
    assert any(trial["starts"] > 1 for trial in trials), "some fault came"
