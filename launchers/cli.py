"""The console command `foundation`: verbs in, exit code out.

Exit codes: 0 success, 2 a user's error (one line on stderr, no traceback),
1 a failure of our own, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

from data_shards.errors import UserError
from launchers import verbs


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb; each verb's module adds its own."""
    parser = argparse.ArgumentParser(
        prog="foundation",
        description="Pre-train, judge and share foundation models of partial differential equations.",
        epilog="Every verb explains itself with an example: foundation shards generate --help",
    )
    parser.add_argument("--version", action="version", version=f"moe-pot {version('moe-pot')}")
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add_verb in verbs.ALL:
        add_verb(subparsers)
    return parser


def guarded(run: Callable[[], int | None]) -> int:
    """Run a command and turn what it raises into the console's exit codes."""
    try:
        return run() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `foundation`."""
    options = build_parser().parse_args(arguments)
    return guarded(lambda: options.run(options))


if __name__ == "__main__":
    sys.exit(main())
