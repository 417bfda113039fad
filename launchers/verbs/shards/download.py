"""`foundation shards download`: a corpus's name in, its published raw files in a folder out."""

import argparse
from pathlib import Path

from data_shards.catalogue import load_card, read_card
from launchers.console.arguments import Subparsers, add_parser
from launchers.console.progress import say

SUMMARY = "fetch the published raw files of a corpus, held to their checksums"
EXAMPLES = """examples:
  foundation shards download pdebench_swe --out downloads
  foundation shards convert pdebench_swe --raw downloads --out shards
  foundation shards download pdearena_ns_cond --out smoke --only '*valid*' '*test*'

What stops on the way goes on where it was with the same command. Files that their authors list
with an md5 are held to it (PDEBench); those on the Hugging Face Hub to the Hub's own checksums, and
they stay in its cache, with links in the folder. Files behind a page for people alone (those of
fno_ns_* on Google Drive, the elliptic ones) are named with that page: no program fetches them.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `download` to `foundation shards`."""
    parser = add_parser(subparsers, "download", SUMMARY, EXAMPLES)
    parser.add_argument("corpus", metavar="CORPUS", help="name of the corpus")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the files"
    )
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="PATTERN", help="only files of such names"
    )
    parser.add_argument(
        "--card", type=Path, metavar="FILE.yaml", help="a card of your own in place of the shipped"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from data_shards.remote.published import fetch_published

    card = read_card(options.card) if options.card else load_card(options.corpus)
    for path in fetch_published(card, options.out, options.only, say):
        print(path)
