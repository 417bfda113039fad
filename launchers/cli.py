"""The console command `foundation`: verbs in, exit code out."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from data_shards.errors import unknown_name
from launchers.console.arguments import Parser
from launchers.console.exit_codes import guarded
from launchers.verbs import SUMMARIES, add_verbs


def build_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """The console's parser, with all options of the wanted verb."""
    parser: argparse.ArgumentParser = Parser(
        prog="foundation",
        description="Pre-train, judge and share foundation models of PDEs.",
        epilog="Every verb explains itself with an example: foundation shards generate --help",
    )
    parser.add_argument("--version", action="version", version=f"moe-pot {_version()}")
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    add_verbs(subparsers, wanted)
    if wanted and not wanted.startswith("-") and wanted not in SUMMARIES:
        parser.error(str(unknown_name("verb", wanted, SUMMARIES, "foundation --help")))
    return parser


def _version() -> str:
    """Of what is installed; a checkout runs without."""
    try:
        return version("moe-pot")
    except PackageNotFoundError:
        return "(a checkout that is not installed)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `foundation`."""
    return guarded(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: Sequence[str]) -> int | None:
    """Read the words, which imports their verb, and do what they say."""
    parser = build_parser(next(iter(arguments), None))
    options, rest = parser.parse_known_args(arguments)
    # argparse takes key.path=value overrides only in one place; people write them anywhere.
    overrides = [text for text in rest if "=" in text and not text.startswith("-")]
    if len(overrides) < len(rest) or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides += overrides
    code: int | None = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
