"""Yardsticks of the bench in processes of their own."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from data_shards.errors import UserError
from launchers.benchmarks.beside import beside


def noting(path: Path, fails_at: int) -> Callable[[], None]:
    """A way that notes its process; it does not work any more at a certain call."""
    if fails_at == 0:
        raise UserError("cannot be made")
    calls: list[int] = []

    def way() -> None:
        calls.append(os.getpid())
        if len(calls) == fails_at:
            raise UserError(f"call {fails_at}")
        path.write_text("\n".join(map(str, calls)))

    return way


def test_a_way_runs_once_per_call_in_one_other_process_that_ends_with_it(tmp_path):
    path = tmp_path / "calls"
    with beside(noting, path, -1) as way:
        for _ in range(3):
            way()
        processes = path.read_text().split()
    assert len(processes) == 3
    (process,) = set(processes)
    assert int(process) != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


@pytest.mark.parametrize(("fails_at", "told"), [(0, "cannot be made"), (1, "call 1")])
def test_what_is_raised_there_is_raised_here(fails_at, told, tmp_path):
    with pytest.raises(UserError, match=told), beside(noting, tmp_path / "calls", fails_at) as way:
        way()


def killed_in_a_call() -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), signal.SIGKILL)


def test_a_way_whose_process_is_killed_is_told():
    with pytest.raises(UserError, match="ended early"), beside(killed_in_a_call) as way:
        way()
