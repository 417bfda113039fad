"""Real runs on disks that are full, read-only or gone: one line, and the last checkpoint whole.

Each run has a mount namespace of its own, with small file systems in memory; it takes root, or
user namespaces, and is left out elsewhere.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import SETTINGS

ROOT = Path(__file__).parents[2]
_ALLOWED = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]


def _may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(_ALLOWED, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.attack,
    pytest.mark.slow,
    pytest.mark.dist,
    pytest.mark.skipif(not _may_mount(), reason="may not mount"),
]


def command(waves: Path, output: Path, *more: str) -> str:
    """A run of two saves, at steps 4 and 8, as a line of the shell that tells its exit code."""
    words = ["-m", "launchers.pretrain", "--preset", "debug", "--shards", str(waves)]
    words += ["--output", str(output), *SETTINGS, "validation.every=8", *more]
    quoted = " ".join(f"'{word}'" for word in (sys.executable, *words))
    return f"{quoted} 2>&1 && echo exit code 0 || echo exit code $?\n"


def shell(script: str) -> str:
    """What a script says that may mount what only it sees."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DS_ACCELERATOR": "cpu"}
    told = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=ROOT,
    )
    return told.stdout


def fault(said: str, code: int) -> str:
    """The one line of a run that failed."""
    *_, line, last = said.splitlines()
    assert last == f"exit code {code}"
    assert line.startswith("error: ")
    assert "Traceback" not in said
    return line


@pytest.fixture
def told(record_property, tmp_path):
    """Writes down what an attack came to."""

    def tell(attack: str, line: str) -> None:
        line = line.replace(f"{tmp_path}/", "")
        record_property("attack", attack)
        record_property("trials", 1)
        record_property("outcome", f'one line: "{line[line.index(": ", 7) + 2 :]}"')

    return tell


def test_a_disk_that_fills_up_costs_the_save_alone(tmp_path, waves, told):
    """It takes one checkpoint and not two; with more room the run goes on from the first."""
    disk, output = tmp_path / "disk", tmp_path / "disk" / "run"
    disk.mkdir()
    said = shell(
        f"mount -t tmpfs -o size=3000k none {disk}\n"
        + command(waves, output)
        + f"ls {output}/checkpoints; echo; mount -o remount,size=40m {disk}\n"
        + command(waves, output, "--resume")
        + f"ls {output}/checkpoints"
    )
    first, _, second = said.partition("\n\n")
    lines = first.splitlines()
    assert lines.pop() == "step-00000004", "whole, and the only one"
    line = fault("\n".join(lines), 1)
    assert "disk is full" in line or "No space left" in line
    assert "exit code 0\nstep-00000004\nstep-00000008" in second
    told("the disk fills up in a save, then has room again", line)


def test_a_disk_without_room_is_refused_before_anything_is_read(tmp_path, waves, told):
    disk = tmp_path / "disk"
    disk.mkdir()
    said = shell(f"mount -t tmpfs -o size=1000k none {disk}\n" + command(waves, disk / "run"))
    line = fault(said, 2)
    assert "its disk is too full" in line
    told("a disk without room for one checkpoint", line)


def test_a_read_only_folder_is_refused_before_anything_is_read(tmp_path, waves, told):
    disk = tmp_path / "disk"
    disk.mkdir()
    said = shell(f"mount -t tmpfs -o ro none {disk}\n" + command(waves, disk / "run"))
    line = fault(said, 2)
    assert "read-only" in line
    told("a read-only output folder", line)


def test_a_full_shared_memory_is_one_line(tmp_path, waves, told):
    run = command(waves, tmp_path / "run", "data.workers=1")
    line = fault(shell("mount -t tmpfs -o size=64k none /dev/shm\n" + run), 2)
    assert line.startswith("error: /dev/shm: too full")
    told("a full /dev/shm and a data worker", line)


def test_a_folder_that_is_removed_under_a_run_is_one_line(tmp_path, waves, told):
    output = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DS_ACCELERATOR": "cpu"}
    script = command(waves, output, "steps=100000")
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        while not (output / "checkpoints" / "step-00000004").exists():
            assert run.poll() is None
            time.sleep(0.05)
        shutil.rmtree(output, ignore_errors=True)
        shutil.rmtree(output, ignore_errors=True)  # what was written meanwhile
        said = run.stdout.read()
    code = 2 if "exit code 2" in said else 1
    line = fault(said, code)
    assert "was removed" in line
    told("the output folder is removed under the run", line)
