"""`foundation bench`: what this machine does, as ratios of one run."""

from launchers.benchmarks.options import EXAMPLES, add_options
from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs import SUMMARIES


def add_verb(subparsers: Subparsers) -> None:
    """Add `bench` to the console."""
    add_options(add_parser(subparsers, "bench", SUMMARIES["bench"], EXAMPLES))
