"""A long run holds no more memory, handles and files at its end than near its beginning."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import SETTINGS

ROOT = Path(__file__).parents[2]
STEPS = int(os.environ.get("LONG_RUN_STEPS", "100000"))


def handles(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def resident_mib(process: int) -> float:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def last_step(lines: Path) -> int:
    """That `metrics.jsonl` tells of."""
    if not lines.is_file():
        return 0
    with lines.open("rb") as file:
        file.seek(max(0, lines.stat().st_size - (1 << 14)))
        whole = file.read().rpartition(b"\n")[0].splitlines()[1:]
    return json.loads(whole[-1])["step"] if whole else 0


@pytest.mark.attack
@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc")
def test_memory_handles_and_files_of_a_long_run_are_bounded(tmp_path, waves, record_property):
    output = tmp_path / "run"
    every = max(1, STEPS // 20)
    words = ["-m", "launchers.pretrain", "--preset", "debug", "--shards", str(waves)]
    words += ["--output", str(output), *SETTINGS, f"steps={STEPS}", "log_every=10"]
    words += ["model.resolution=8", "global_batch=2"]
    words += [f"checkpoint.every={every}", f"validation.every={every}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DS_ACCELERATOR": "cpu"}
    seen: list[tuple[int, float, int, int]] = []  # step, MiB, handles, files
    with subprocess.Popen(
        [sys.executable, *words],
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=ROOT,
    ) as run:
        while run.poll() is None:
            step = last_step(output / "metrics.jsonl")
            if step and (not seen or step >= seen[-1][0] + every // 2):
                try:
                    now = resident_mib(run.pid), handles(run.pid)
                except (FileNotFoundError, ValueError, IndexError):  # it has just ended
                    break
                seen.append((step, *now, sum(1 for _ in output.rglob("*"))))
            time.sleep(0.05)
    assert run.returncode == 0
    _, first_mib, first_handles, _ = next(each for each in seen if each[0] >= 0.25 * STEPS)
    _, last_mib, last_handles, _ = seen[-1]
    files = [each[3] for each in seen if each[0] >= 0.25 * STEPS]
    record_property("attack", f"a run of {STEPS} steps")
    record_property("trials", 1)
    record_property(
        "outcome",
        f"from a quarter to the end: {first_mib:.0f} to {last_mib:.0f} MiB, {first_handles} to "
        f"{last_handles} handles, at most {max(files)} files",
    )
    # What the allocator keeps of freed memory goes up and down.
    assert last_mib < first_mib + 32
    assert last_handles <= first_handles + 2
    # One checkpoint more while it is written.
    assert max(files) <= 2 * min(files)
