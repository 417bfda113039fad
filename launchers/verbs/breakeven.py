"""`foundation breakeven`: a training in, after how many forecasts it has repaid its cost out."""

import argparse
from pathlib import Path

from launchers.console.arguments import (
    Subparsers,
    add_parser,
    add_shards_option,
    positive,
    positive_number,
)
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation breakeven runs/nano --shards shards --output records/breakeven.json
  foundation breakeven runs/tuned --base runs/nano --shards shards --corpora custom \\
      --output records/tuned-breakeven.json
  foundation breakeven runs/small --shards shards --rank-price 40 --trials 5 --output b.json

A forecast is compared with the corpus's own solver on the coarser grid that errs as much (arXiv
2605.15399): both are timed here, on one core. What is to be repaid are the seconds of the training,
from its folder, times its ranks and their price, and those of simulating what it learnt from.
"never" is where a forecast costs as much as such a solve: on small grids that is the rule.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `breakeven` to the console."""
    parser = add_parser(subparsers, "breakeven", SUMMARIES["breakeven"], _EXAMPLES)
    parser.add_argument("folder", type=Path, metavar="RUN", help="training folder, with its model/")
    parser.add_argument(
        "--base", type=Path, metavar="RUN", help="pre-training that RUN goes on from"
    )
    add_shards_option(
        parser, "generated shards: train splits of the training, test splits to judge"
    )
    parser.add_argument(
        "--corpora", metavar="C,C", help="that forecasts are of; by default those of the training"
    )
    parser.add_argument(
        "--trajectories", type=positive, default=4, metavar="N", help="to judge and time; default 4"
    )
    parser.add_argument(
        "--rank-price",
        type=positive_number,
        default=1.0,
        metavar="X",
        help="seconds of a core that a second of a training rank, and of a forecast on a GPU, is "
        "worth; default 1",
    )
    parser.add_argument(
        "--trials",
        type=positive,
        default=1,
        metavar="N",
        help="trainings that tuning took; default 1",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1; the first GPU by default, if any")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--json", action="store_true", help="print the record instead of a table")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from launchers.work.breakeven import run

    run(options)
