"""`foundation export`: a training folder in, a checkpoint folder with its card out."""

import argparse
from pathlib import Path

from foundation.checkpoint.files import MAX_SHARD_SIZE
from launchers.console.arguments import Subparsers, add_parser, add_shards_option
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation export runs/tiny checkpoints/tiny
  foundation export runs/tiny checkpoints/tiny --checkpoint step-4000
  foundation export runs/medium checkpoints/medium --max-shard-size 2GB \\
      --records records/ --shards shards/ --dataset owner/pde-shards
  foundation export checkpoints/tiny checkpoints/tiny_split --max-shard-size 500MB

RUN is the --output of a launcher of training, of any number of ranks, expert-parallel size and
ZeRO stage; or a checkpoint folder, to write it anew. By default it is the model of a finished
run, else the newest whole checkpoint. OUT must not exist: it appears whole, or not at all.

OUT holds config.json, model.safetensors (or shards with their index) and README.md, its card.
The card's figures come from --records only: results files of `foundation evaluate` on this very
checkpoint; evaluate the export, then repeat with --records, or use `foundation card`.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `export` to the console."""
    parser = add_parser(subparsers, "export", SUMMARIES["export"], _EXAMPLES)
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="training folder")
    parser.add_argument("out", type=Path, metavar="OUT", help="checkpoint folder to make")
    parser.add_argument(
        "--checkpoint", metavar="step-N", help="one of RUN/checkpoints, instead of the newest"
    )
    parser.add_argument(
        "--max-shard-size",
        default=MAX_SHARD_SIZE,
        metavar="SIZE",
        help=f"of a file of weights, such as 500MB or 2GB (default {MAX_SHARD_SIZE})",
    )
    parser.add_argument(
        "--bf16",
        action="store_true",
        help="round weights to bfloat16, half the bytes; it is then another model, to be judged "
        "anew",
    )
    add_card_options(parser)
    parser.add_argument("--json", action="store_true", help="print what was made, for programs")
    parser.set_defaults(run=_run)


def add_card_options(parser: argparse.ArgumentParser) -> None:
    """Options on what a card tells."""
    parser.add_argument(
        "--records", type=Path, metavar="FILE|DIR", help="results of this checkpoint"
    )
    add_shards_option(parser, "what it was trained on, for its statistics", required=False)
    parser.add_argument(
        "--fingerprints",
        type=Path,
        metavar="FILE",
        help="routing fingerprints of this checkpoint, to lie beside it",
    )
    parser.add_argument(
        "--dataset",
        metavar="OWNER/NAME",
        help="data set on the Hub with the shards; .eval_results/ names it, and needs it",
    )
    parser.add_argument("--license", metavar="ID", help="the Hub's identifier, as apache-2.0")


def _run(options: argparse.Namespace) -> None:
    from launchers.work.export import run

    run(options)
