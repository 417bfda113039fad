"""`foundation pull`: a repository of the Hugging Face Hub in, a checkpoint folder out."""

import argparse
from pathlib import Path

from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation pull owner/moe-pot-tiny checkpoints/tiny
  foundation pull owner/moe-pot-tiny checkpoints/tiny --revision 4f2c1d9
  foundation pull owner/moe-pot-tiny checkpoints/tiny --local-files-only   # from the cache

Files are held to the Hub's checksums, and the checkpoint is proven by loading it, before OUT
appears; OUT must not exist. Nothing but a checkpoint's own files is fetched. A pull that was
cut off goes on where it was. HF_ENDPOINT names another hub.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `pull` to the console."""
    parser = add_parser(subparsers, "pull", SUMMARIES["pull"], _EXAMPLES)
    parser.add_argument("repo", metavar="REPO", help="owner/name")
    parser.add_argument("out", type=Path, metavar="OUT", help="checkpoint folder to make")
    parser.add_argument("--revision", metavar="R", help="branch, tag or commit (default main)")
    parser.add_argument("--cache-dir", type=Path, metavar="DIR", help="instead of the Hub's own")
    parser.add_argument(
        "--local-files-only", action="store_true", help="take what the cache has, ask nobody"
    )
    parser.add_argument(
        "--token", metavar="TOKEN", help="by default HF_TOKEN, or that of `hf auth login`"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from foundation.checkpoint.share import pull_checkpoint

    out = pull_checkpoint(
        options.repo,
        options.out,
        revision=options.revision,
        cache_dir=options.cache_dir,
        local_files_only=options.local_files_only,
        token=options.token,
    )
    print(f"checkpoint: {out}")
