"""`foundation models`: what there is to forecast with: what other verbs take for CHECKPOINT."""

import argparse
from pathlib import Path

from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation models                       # the package's own, and those below this folder
  foundation models runs checkpoints      # those below these folders
  foundation models --json

Whatever takes a CHECKPOINT takes one of these: a name of the package, a folder, or OWNER/NAME
of the Hugging Face Hub. Published weights are imported first:
  foundation import-reference FILE.pth CHECKPOINT
Models of others are judged by a function that returns them: foundation evaluate --help.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `models` to the console."""
    parser = add_parser(subparsers, "models", SUMMARIES["models"], _EXAMPLES)
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="DIR",
        default=[Path()],
        help="where to look for checkpoints, some levels deep (default: here)",
    )
    parser.add_argument("--json", action="store_true", help="print it for programs")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from launchers.work.models import run

    run(options)
