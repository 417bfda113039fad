"""`foundation push-shards`: a folder of shards in, a data set on the Hugging Face Hub out."""

import argparse
from pathlib import Path

from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs import SUMMARIES
from launchers.verbs.push import add_push_options

_EXAMPLES = """examples:
  foundation push-shards shards/ owner/pde-shards
  foundation push-shards shards/ owner/pde-shards --private --quick

The shards are verified first, every byte of them (--quick: sizes only), and go with manifest.json
and the data set's card, so that `datasets.load_dataset` reads them from the Hub. A push that was
cut off goes on where it was.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `push-shards` to the console."""
    parser = add_parser(subparsers, "push-shards", SUMMARIES["push-shards"], _EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with manifest.json")
    parser.add_argument("repo", metavar="REPO", help="owner/name; made if there is none")
    add_push_options(parser)
    parser.add_argument("--quick", action="store_true", help="compare sizes, read nothing")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from data_shards.remote.share import push_shards

    address = push_shards(
        options.folder,
        options.repo,
        deep=not options.quick,
        private=options.private,
        message=options.message,
        token=options.token,
    )
    print(f"pushed: {address}")
