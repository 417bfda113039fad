"""Deaths of processes of a run: one line each, the right code, nothing lost."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from group import exit_codes_on_ranks, on_ranks
from runs import pretrain, rows

from foundation.train.stop import TERMINATED

pytestmark = pytest.mark.dist
ENDLESS = ("steps=100000", "checkpoint.every=100000", "validation.every=100000")


def into(log: Path) -> None:
    """What this process says goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(f"{log}-{os.environ['RANK']}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def said(log: Path, rank: int) -> list[str]:
    return Path(f"{log}-{rank}").read_text().splitlines()


class FaultAfter:
    """No stop request; does something in a given step of one rank."""

    def __init__(self, steps: int, rank: int, act: Any) -> None:
        self.left, self.rank, self.act = steps, rank, act

    def __bool__(self) -> bool:
        self.left -= 1
        if self.left == 0 and os.environ["RANK"] == str(self.rank):
            self.act()
        return False


def with_fault(shards: Path, output: Path, log: Path, act: Any, extra: tuple[str, ...]) -> int:
    import launchers.training.launch as training

    into(log)
    training.StopRequest = lambda: FaultAfter(3, 1, act)  # type: ignore[assignment,misc]
    os._exit(pretrain(shards, output, 2, extra=(*ENDLESS, *extra)))


def stop_oneself() -> None:
    """As a rank whose machine hangs; somebody ends it later."""
    subprocess.Popen(["sh", "-c", f"sleep 15; kill -9 {os.getpid()}"], stderr=subprocess.DEVNULL)
    os.kill(os.getpid(), signal.SIGSTOP)


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_in_step() -> None:
    time.sleep(15)
    kill_oneself()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "line"),
    [
        (stop_oneself, r"stopped: no sign of life for \d+ s: rank 1 \(\w+ .*step \d\)"),
        (
            sleep_in_step,
            r"stopped: no rank has got on for \d+ s: rank 0 computes step 3; rank 1 computes",
        ),
    ],
)
def test_a_rank_that_hangs_ends_the_job_and_is_named(waves, tmp_path, act, line):
    log = tmp_path / "log"
    extra = ("--hung-after", "0.15")
    codes = exit_codes_on_ranks(2, with_fault, waves, tmp_path / "run", log, act, extra)
    assert codes[0] == 1
    assert any(re.match(line, each) for each in said(log, 0)), said(log, 0)


def test_the_death_of_another_rank_is_one_line(waves, tmp_path):
    log = tmp_path / "log"
    codes = exit_codes_on_ranks(2, with_fault, waves, tmp_path / "run", log, kill_oneself, ())
    assert codes == [1, -signal.SIGKILL]
    last = said(log, 0)[-1]
    assert last == "stopped: rank 0: another rank has left; go on with --resume"
    assert not any(line.startswith("Traceback") for line in said(log, 0))


def with_a_dead_worker(shards: Path, output: Path, log: Path) -> int:
    import launchers.training.launch as training

    def kill_a_worker() -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)

    into(log)
    training.StopRequest = lambda: FaultAfter(3, 0, kill_a_worker)  # type: ignore[assignment,misc]
    return pretrain(shards, output, extra=(*ENDLESS, "data.workers=1"))


def test_a_killed_data_worker_is_one_line(waves, tmp_path):
    log = tmp_path / "log"
    assert on_ranks(1, with_a_dead_worker, waves, tmp_path / "run", log) == [1]
    last = said(log, 0)[-1]
    assert last.startswith("stopped: rank 0: a process that reads samples ahead is gone; ")
    assert not any(line.startswith("Traceback") for line in said(log, 0))


def terminated_while(shards: Path, output: Path, log: Path, resume: bool) -> int:
    """SIGTERM comes while shards are verified."""
    import launchers.training.launch as training

    def hear(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)

    into(log)
    training.check_checksums = hear  # type: ignore[assignment]
    return pretrain(shards, output, extra=("--resume",) if resume else ())


def test_sigterm_while_shards_are_verified_ends_at_once_with_one_line(waves, tmp_path):
    log, output = tmp_path / "log", tmp_path / "run"
    assert exit_codes_on_ranks(1, terminated_while, waves, output, log, False) == [TERMINATED]
    assert said(log, 0) == ["stopped: terminated before the first step: nothing to save"]
    assert on_ranks(1, pretrain, waves, output, 1, 2) == [0], "the folder is as good as new"
    assert exit_codes_on_ranks(1, terminated_while, waves, output, log, True) == [TERMINATED]
    assert on_ranks(1, pretrain, waves, output, 1, None, ("--resume",)) == [0]
    assert [row["step"] for row in rows(output)] == list(range(1, 9))
