"""From exceptions to exit codes, for every command.

0 success, 2 a user's error (one line on stderr, no traceback), 1 a failure of
our own, 130 interrupted.
"""

import io
import sys
from collections.abc import Callable

from data_shards.errors import UserError


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
