"""From exceptions to exit codes, for every command.

0 success, 2 a user's error (one line on stderr, no traceback), 1 a failure of
our own or of a disk (then in one line, too), 130 interrupted.
"""

import errno
import io
import sys
from collections.abc import Callable

from data_shards.errors import UserError, without_secrets

# What a disk says that is full, gone, failing or not ours to write; no fault of a program.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES)


def guarded(run: Callable[[], int | None], quiet: bool = False) -> int:
    """Run a command and turn what it raises into the console's exit codes.

    Args:
        run: the command.
        quiet: say nothing, as ranks that repeat what the first one says.
    """
    out = io.StringIO() if quiet else sys.stderr
    try:
        return run() or 0
    except UserError as error:
        print(f"error: {error}", file=out)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=out)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        if error.errno not in _DISK:
            raise
        # Of every rank: it may be another machine's disk.
        where = without_secrets(str(error.filename or "a file"))
        print(f"error: {where}: {error.strerror}; see to the disk, then run again", file=sys.stderr)
        return 1
