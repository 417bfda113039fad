"""`foundation evaluate`: checkpoints, factories and floors in, a results file and a table out."""

import argparse
from pathlib import Path
from typing import get_args

from evaluation.tasks.task import ProtocolName
from launchers.console.arguments import (
    Subparsers,
    add_noise_options,
    add_parser,
    add_shards_option,
    positive,
)
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation evaluate runs/tiny/model floor:persistence floor:context_mean \\
      --shards shards/ --tasks zero_shot --output records/tiny.json
  foundation evaluate runs/tiny/model --shards shards/ --tasks ood,rollout \\
      --save-predictions float16 --output records/tiny-ood.json
  foundation evaluate runs/tiny/model ensemble:runs/a/model,runs/b/model floor:persistence \\
      --members 8 --shards shards/ --tasks bands,bands_shift --output records/bands.json
  foundation evaluate mine/tuned/model floor:persistence --shards mine/shards \\
      --tasks zero_shot_custom --output records/mine.json      # own files, by their card
  foundation evaluate mine:model floor:persistence --shards shards/ --tasks zero_shot \\
      --output records/mine.json    # def model() of mine.py: anybody's model
  torchrun --nproc-per-node 4 --no-python foundation evaluate runs/medium/model ...

`foundation tasks` lists tasks and groups. Of a group, tasks without shards are left out.
Per-sample values go beside the results, to records/tiny.samples.npz, predictions to
records/tiny.predictions/. All is saved on the way; the same command goes on where it was
stopped and judges nothing twice.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `evaluate` to the console."""
    parser = add_parser(subparsers, "evaluate", SUMMARIES["evaluate"], _EXAMPLE)
    parser.add_argument(
        "targets",
        nargs="+",
        metavar="CHECKPOINT|ensemble:A,B|module:factory|floor:NAME",
        help="checkpoint folders; ensemble:A,B of several is judged by its mean; functions of a "
        "Python module, here or installed, that return a ForeignModel; floor:persistence, "
        "floor:context_mean and, of steady problems, floor:zero need no checkpoint",
    )
    add_shards_option(parser, "test shards")
    parser.add_argument(
        "--tasks",
        required=True,
        metavar="T[,T]|GROUP",
        help="tasks and groups, by comma: zero_shot, zero_shot_pdebench_swe, ...",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.json", help="results file to write"
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep what an existing output has of this (default)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N trajectories")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="B", help="default 8")
    parser.add_argument(
        "--save-predictions",
        nargs="?",
        const="float32",
        choices=("float16", "float32"),
        help="keep what was predicted on the scored points, for foundation rescore",
    )
    parser.add_argument(
        "--name",
        action="append",
        metavar="NAME",
        help="name on leaderboards, once per target and in their order; folder names by default",
    )
    parser.add_argument(
        "--members",
        type=positive,
        metavar="N",
        help="judge the mean of N members: of a checkpoint under noise, of ensemble:A,B by turns",
    )
    add_noise_options(parser)
    parser.add_argument(
        "--grid",
        choices=("model", "native", "regrid"),
        default="model",
        help="where checkpoints answer: on their own grid (default, the published protocol); or on "
        "the data's, native or by regridding there and back",
    )
    parser.add_argument(
        "--protocol",
        choices=get_args(ProtocolName),
        help="how forecasts are made and scored: reference is that of MoE-POT's authors (x first, "
        "their channel order, padding and obstacle fed back, solid cells scored; default: "
        "reference for what import-reference made, else as the task says)",
    )
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    parser.add_argument("--device", help="cpu, cuda, cuda:1; the first GPU by default, if any")
    parser.add_argument("--json", action="store_true", help="print the records instead of a table")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from launchers.work.evaluate import run

    run(options)
