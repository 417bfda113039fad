"""`foundation card`: a checkpoint folder and records in, its model card out."""

import argparse
from pathlib import Path

from launchers.console.arguments import Subparsers, add_parser
from launchers.console.progress import say
from launchers.verbs import SUMMARIES
from launchers.verbs.export import add_card_options

_EXAMPLES = """examples:
  foundation card runs/tiny/model --records records/tiny.json
  foundation card checkpoints/tiny --records records/ --shards shards/ --license apache-2.0
  foundation card checkpoints/tiny --records records/ --dataset owner/pde-shards

Writes README.md and, if --dataset says where the shards are shared, .eval_results/*.yaml into
the folder. Of --records only what was measured on this very checkpoint is told. A README.md
that is not of this command stays as it is.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `card` to the console."""
    parser = add_parser(subparsers, "card", SUMMARIES["card"], _EXAMPLES)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="checkpoint folder")
    add_card_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from evaluation.board.model_card import read_evidence, write_card

    folder = options.checkpoint
    evidence = read_evidence(options.records, options.shards, options.fingerprints)
    for line in write_card(folder, evidence, options.dataset, options.license):
        say(f"note: {line}")
    print(f"card: {folder / 'README.md'}")
