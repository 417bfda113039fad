"""The console command `foundation`: verbs in, exit code out."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from launchers import verbs
from launchers.exit_codes import guarded


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb; each verb's module adds its own."""
    parser = argparse.ArgumentParser(
        prog="foundation",
        description="Pre-train, judge and share foundation models of PDEs.",
        epilog="Every verb explains itself with an example: foundation shards generate --help",
    )
    parser.add_argument("--version", action="version", version=f"moe-pot {version('moe-pot')}")
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add_verb in verbs.ALL:
        add_verb(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `foundation`."""
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    # argparse takes key.path=value overrides only in one place; people write them anywhere.
    overrides = [text for text in rest if "=" in text and not text.startswith("-")]
    if len(overrides) < len(rest) or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides += overrides
    return guarded(lambda: options.run(options))


if __name__ == "__main__":
    sys.exit(main())
