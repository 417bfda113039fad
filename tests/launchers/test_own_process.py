"""Yardsticks of the bench in processes of their own."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from data_shards.errors import UserError
from launchers.benchmarks.own_process import in_own_process


class TwoFoldError(Exception):
    """Does not survive a pipe."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def noting(path: Path, fails_at: int, with_what: Exception | None = None) -> Callable[[], None]:
    """A way that notes its process; it does not work any more at a certain call."""
    calls: list[int] = []

    def way() -> None:
        calls.append(os.getpid())
        if len(calls) == fails_at:
            raise with_what or TwoFoldError("in", "side")
        path.write_text("\n".join(map(str, calls)))

    if fails_at == 0:
        way()
        raise UserError("cannot be made")
    return way


def test_a_way_runs_once_per_call_in_one_other_process_that_ends_with_it(tmp_path):
    path = tmp_path / "calls"
    with in_own_process(noting, path, -1) as way:
        for _ in range(3):
            way()
        processes = path.read_text().split()
    assert len(processes) == 3
    (process,) = set(processes)
    assert int(process) != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


@pytest.mark.parametrize(("fails_at", "told"), [(0, "cannot be made"), (1, "call 1")])
def test_what_a_user_can_fix_is_raised_here(fails_at, told, tmp_path):
    path = tmp_path / "calls"
    with (
        pytest.raises(UserError, match=told),
        in_own_process(noting, path, fails_at, UserError(told)) as w,
    ):
        w()


def test_any_other_failure_comes_with_where_it_arose(tmp_path):
    fault = r"(?s)in way.*TwoFoldError: inside"
    with (
        pytest.raises(RuntimeError, match=fault),
        in_own_process(noting, tmp_path / "calls", 1) as way,
    ):
        way()


def killing() -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), signal.SIGKILL)


def test_a_way_whose_process_is_killed_in_a_call_is_told():
    with pytest.raises(RuntimeError, match="killing ended early"), in_own_process(killing) as way:
        way()


def test_a_way_whose_process_is_killed_between_two_calls_is_told(tmp_path):
    path = tmp_path / "calls"
    with in_own_process(noting, path, -1) as way:
        way()
        os.kill(int(path.read_text()), signal.SIGKILL)
        with pytest.raises(RuntimeError, match="noting ended early"):
            way()
