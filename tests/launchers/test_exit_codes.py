"""What a command raises is an exit code and at most one line."""

import errno
import os

import pytest

from data_shards.errors import UserError
from launchers.console.exit_codes import guarded


def raising(error: BaseException):
    def run() -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("no such corpus"), 2, "error: no such corpus"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 0, ""),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a"),
            1,
            "error: runs/a: No space left on device; see to the disk, then run again",
        ),
        (
            OSError(errno.EROFS, os.strerror(errno.EROFS)),
            1,
            "error: a file: Read-only file system; see to the disk, then run again",
        ),
        (
            OSError(errno.EACCES, os.strerror(errno.EACCES), "https://me:SECRET@here.org/a"),
            1,
            "error: https://here.org/a: Permission denied; see to the disk, then run again",
        ),
    ],
)
def test_a_code_and_a_line(capsys, error, code, said):
    assert guarded(raising(error)) == code
    assert capsys.readouterr().err.strip() == said


def test_ranks_that_repeat_the_first_say_nothing_but_what_their_own_disk_says(capsys):
    assert guarded(raising(UserError("no")), quiet=True) == 2
    assert capsys.readouterr().err == ""
    assert guarded(raising(OSError(errno.EIO, "broken", "/mnt")), quiet=True) == 1
    assert "/mnt: broken" in capsys.readouterr().err


def test_what_is_our_own_fault_is_not_hidden():
    for error in (OSError(errno.EINVAL, "ours"), ValueError("ours"), RuntimeError("ours")):
        with pytest.raises(type(error)):
            guarded(raising(error))
