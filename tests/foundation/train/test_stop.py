"""Ranks notice the end of those who started them, and SIGTERM, before there is anything to save.

Stand-ins of DeepSpeed's two launchers start a process that listens; none of them imports torch.
"""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PATIENCE_S = 20
RANK = """
    import sys, time
    sys.path.insert(0, {root!r})
    time.sleep(float({late!r}))
    from foundation.train.stop import StopRequest, listen
    listen()
    if {saves}:
        stop = StopRequest()
    print("ready", flush=True)
    while not ({saves} and stop):
        time.sleep(0.01)
    print("saved", flush=True)
"""
LAUNCHER = """
    import subprocess, sys
    rank = subprocess.Popen([sys.executable, "-c", {rank!r}])
    print("rank", rank.pid, flush=True)
    sys.exit(rank.wait())
"""
RUNNER = """
    import subprocess, sys
    launcher = subprocess.Popen([sys.executable, "-c", {launcher!r}, "deepspeed.launcher.launch"])
    print("launcher", launcher.pid, flush=True)
    launcher.wait()
    import time
    time.sleep(0.3)
    sys.exit(max(launcher.returncode, 0))  # as DeepSpeed's, whose interpreter takes as long to end
"""


class Job:
    """A runner, its launcher, and one rank."""

    def __init__(self, saves: bool = False, late: float = 0.0, name: str = "deepspeed") -> None:
        rank = textwrap.dedent(RANK).format(root=str(ROOT), saves=saves, late=late)
        launcher = textwrap.dedent(LAUNCHER).format(rank=rank)
        runner = textwrap.dedent(RUNNER).format(launcher=launcher)
        own = {"LOCAL_SIZE": "1", "LOCAL_RANK": "0", "CROSS_RANK": "0", "CROSS_SIZE": "1"}
        self.runner = subprocess.Popen(
            [sys.executable, "-c", runner, name],
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.runner.stdout is not None
        self.said = self.runner.stdout
        words = {tuple(self.said.readline().split()) for _ in range(2 if late else 3)}
        assert late or ("ready",) in words
        numbers = {word[0]: int(word[1]) for word in words if len(word) == 2}
        self.launcher, self.rank = numbers["launcher"], numbers["rank"]

    def end(self) -> str:
        """All that is said until the last of them has ended."""
        with self.said:
            rest = self.said.read()
        self.runner.wait(PATIENCE_S)
        return rest


def test_a_rank_leaves_when_its_runner_is_killed():
    job = Job()
    job.runner.kill()
    assert "the launcher is gone before the first step: nothing to save" in job.end()


def test_a_rank_that_starts_after_the_death_of_its_runner_leaves():
    job = Job(late=0.5)
    job.runner.kill()
    said = job.end()
    assert "the launcher is gone" in said
    assert "ready" not in said


@pytest.mark.parametrize("saves", [False, True])
def test_the_command_does_not_end_with_zero_when_its_inner_launcher_is_killed(saves):
    job = Job(saves)
    os.kill(job.launcher, signal.SIGKILL)
    assert ("saved" in job.end()) == saves
    assert job.runner.returncode == -signal.SIGTERM


def test_a_program_that_is_no_launcher_of_deepspeeds_is_left_alone():
    job = Job(name="a study")
    os.kill(job.launcher, signal.SIGKILL)
    assert "the launcher is gone" in job.end()
    assert job.runner.returncode == 0


def test_sigterm_before_there_is_anything_to_save_ends_at_once_with_its_code():
    job = Job()
    os.kill(job.rank, signal.SIGTERM)
    assert job.end() == "stopped: terminated before the first step: nothing to save\n"
    assert job.runner.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("victim", ["rank", "runner"])
def test_later_the_owner_saves(victim):
    job = Job(saves=True)
    os.kill(job.rank if victim == "rank" else job.runner.pid, signal.SIGTERM)
    assert job.end() == "saved\n"


def test_signals_are_answered_as_before_after_the_block():
    """In a process of its own: the tests' must not be deaf."""
    code = f"""
    import os, signal, sys, time
    sys.path.insert(0, {str(ROOT)!r})
    from foundation.train.stop import listening
    with listening():
        with listening():
            pass
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.05)
    assert heard and "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=PATIENCE_S)
