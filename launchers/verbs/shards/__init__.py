"""`foundation shards`: everything about folders of shards and the corpora in them.

One module per verb, in the order of `foundation shards --help`. None of them
imports a solver, a reader or a plotting library before it is run.
"""

from launchers.console.arguments import Subparsers, add_parser
from launchers.verbs import SUMMARIES
from launchers.verbs.shards import accuracy, convert, download, generate, info, show, verify
from launchers.verbs.shards import list as list_verb

_EXAMPLES = """examples:
  foundation shards list                                      # which corpora there are
  foundation shards generate all --profile small --out shards # simulate them, in minutes
  foundation shards download pdebench_swe --out downloads
  foundation shards convert pdebench_swe --raw downloads --out shards
  foundation shards verify shards                             # checksums, shapes, values
  foundation shards info shards                               # what is there
  foundation shards show shards --output pictures             # look at it
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `shards` with its own verbs to the console."""
    shards = add_parser(subparsers, "shards", SUMMARIES["shards"], _EXAMPLES)
    inner = shards.add_subparsers(dest="shards_verb", required=True, metavar="VERB")
    for verb in (list_verb, generate, download, convert, verify, info, show, accuracy):
        verb.add_verb(inner)
