"""`foundation push`: a checkpoint folder in, a commit on the Hugging Face Hub out."""

import argparse
from pathlib import Path

from foundation.checkpoint.bundled import bundled
from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  hf auth login                                    # once, with a token that may write
  foundation push checkpoints/tiny owner/moe-pot-tiny
  foundation push checkpoints/tiny owner/moe-pot-tiny --private --message "After step 4000"

The folder is proven first, as if it were loaded. Everything goes in one commit, and only what
belongs to a checkpoint: configuration, weights, card, results, fingerprints. HF_ENDPOINT names
another hub.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `push` to the console."""
    parser = add_parser(subparsers, "push", SUMMARIES["push"], _EXAMPLES)
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="checkpoint folder, or a name of the package"
    )
    parser.add_argument("repo", metavar="REPO", help="owner/name; made if there is none")
    add_push_options(parser)
    parser.add_argument("--revision", metavar="BRANCH", help="a branch that exists (default main)")
    parser.set_defaults(run=_run)


def add_push_options(parser: argparse.ArgumentParser) -> None:
    """Options of everything that goes to the Hub."""
    parser.add_argument(
        "--private", action="store_true", default=None, help="of a repository that is made"
    )
    parser.add_argument("--message", metavar="TEXT", help="of the commit")
    parser.add_argument(
        "--token", metavar="TOKEN", help="by default HF_TOKEN, or that of `hf auth login`"
    )


def _run(options: argparse.Namespace) -> None:
    from foundation.checkpoint.share import push_checkpoint

    address = push_checkpoint(
        bundled().get(str(options.out), options.out),
        options.repo,
        private=options.private,
        message=options.message,
        revision=options.revision,
        token=options.token,
    )
    print(f"pushed: {address}")
