"""`foundation routing`: checkpoints and shards in, what their routers tell out."""

import argparse
from pathlib import Path

from evaluation.routing.task import RoutingTask
from launchers.console.arguments import (
    Subparsers,
    add_parser,
    add_shards_option,
    not_negative,
    positive,
)
from launchers.verbs import SUMMARIES

_EXAMPLES = """examples:
  foundation routing runs/tiny/model --shards shards/ --output records/tiny.routing.json
  foundation routing runs/tiny/model --shards shards/ --unseen wave_layer,wave_gauss \\
      --output records/strangers.json --figures figures/     # how well strangers are told
  foundation routing late/ middle/ early/ --untrained --shards shards/ \\
      --output records/emergence.json --figures figures/     # how it emerged in a run
  foundation routing runs/tiny --all-checkpoints --untrained --shards shards/ \\
      --output records/emergence.json                        # in all that the run has kept
  foundation routing runs/tiny/model --task routing_mixture_6 --shards shards/ \\
      --output records/tiny.routing.json                     # terms of a task file

A run keeps its last two checkpoints unless it was started with checkpoint.keep=N.
Fingerprints are mean routing distributions over windows of one split, test samples come from
another; a sample belongs to the corpus of the smallest cross entropy. The distributions of
every sample go beside the results, to records/tiny.routing.routes.npz.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `routing` to the console."""
    parser = add_parser(subparsers, "routing", SUMMARIES["routing"], _EXAMPLES)
    parser.add_argument(
        "checkpoints",
        nargs="+",
        metavar="CHECKPOINT",
        help="checkpoint folders of one task; several of one run show how it emerged",
    )
    add_shards_option(parser, "shards of the corpora")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.json", help="routing file to write"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument(
        "--corpora",
        metavar="C[,C]",
        help="corpora seen in training; by default those that the checkpoint names",
    )
    parser.add_argument("--unseen", metavar="C[,C]", help="corpora that were not trained on")
    parser.add_argument("--task", metavar="T", help="take the terms from a routing task")
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    _add_terms(parser)
    parser.add_argument(
        "--all-checkpoints",
        action="store_true",
        help="take training folders, and look at every checkpoint that lies in them",
    )
    parser.add_argument("--batch-size", type=positive, default=8, metavar="B", help="default 8")
    parser.add_argument(
        "--name", action="append", metavar="NAME", help="once per checkpoint and in their order"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1; the first GPU by default, if any")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="draw SVG figures there")
    parser.add_argument(
        "--save-fingerprints",
        action="store_true",
        help="write fingerprints.json into every checkpoint folder",
    )
    parser.add_argument(
        "--untrained",
        action="store_true",
        help="look at the first checkpoint's network with fresh weights too, as a floor",
    )
    parser.add_argument("--json", action="store_true", help="print the records instead of tables")
    parser.set_defaults(run=_run)


def _add_terms(parser: argparse.ArgumentParser) -> None:
    """Options that change numbers; those not given are the task's."""
    terms = RoutingTask.model_fields

    def add(name: str, kind: object, text: str, metavar: str | None = None) -> None:
        default = terms[name].default
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,  # type: ignore[arg-type]
            metavar=metavar,
            help=f"{text} (default {default}, or that of --task)",
        )

    add("fingerprint_split", str, "split that fingerprints are made of", "SPLIT")
    add("test_split", str, "split that test samples come from", "SPLIT")
    add("windows", positive, "windows per corpus and split at most", "N")
    add("few", not_negative, "windows of an unseen corpus's fingerprint; 0 makes none", "N")
    add("start", str, "first frames of windows: random, or first for frame 0 only", "START")
    add("temperature", str, "of the softmax over all experts: a number, or evaluation", "T")
    add("seed", not_negative, "of the windows' start frames, and of fresh weights", "S")


def _run(options: argparse.Namespace) -> None:
    from launchers.work.routing import run

    run(options)
