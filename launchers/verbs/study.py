"""`foundation study`: models, mixtures and seeds in; trained, judged and summarised out."""

import argparse
from pathlib import Path

from launchers.console.arguments import (
    DEFAULT_DEEPSPEED_CONFIG,
    Subparsers,
    add_parser,
    add_shards_option,
    positive,
)
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation study evaluation/studies/baselines/study.yaml --shards shards/ --output baselines/ \\
      --jobs 2
  foundation study mine.yaml --shards shards/ --output mine/ --finished-only  # what is there so far

A study is a YAML file:
  title: MoE-POT against its dense twin
  models: {MoE-POT: nano, DPOT: nano_dpot}       # name in tables: preset
  mixtures: {six: [], ten: ["data.corpora=[mixture_10]", data.weights=balanced]}
  seeds: 3
  tasks: [zero_shot]
  transfer:                                     # if then every model is to be fine-tuned
    corpora: [fno_ns_1e-4]
    sizes: [8, 32, 128]                         # trajectories
    learning_rates: [1.0e-4, 1.0e-3]            # the one with the least validation error counts
    seeds: 3
    scratch: true                               # and from initial weights, as the control
    models: [MoE-POT]                           # all by default
    recipe: finetune
    overrides: [steps=200, validation.keep_best=true]

Every model learns every mixture from every seed, in a process of its own; all are judged beside
the floors. OUTPUT/runs holds training folders, OUTPUT/records what foundation leaderboard reads:
records, and study.json with means over seeds, ranks and wins; of fine-tuning one record per run,
and study-transfer.json with means at the chosen learning rates. The same command goes on where
it was stopped; a finished run is never trained again.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `study` to the console."""
    parser = add_parser(subparsers, "study", SUMMARIES["study"], _EXAMPLE)
    parser.add_argument("study", type=Path, metavar="STUDY.yaml", help="what is compared")
    add_shards_option(parser, "shards of the mixtures and of the tasks")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="J", help="trainings at a time (default 1)"
    )
    parser.add_argument("--ranks", type=positive, default=1, help="of every training (default 1)")
    parser.add_argument(
        "--ep-size", type=positive, default=1, help="of models that have experts (default 1)"
    )
    parser.add_argument(
        "--deepspeed-config",
        type=Path,
        default=DEFAULT_DEEPSPEED_CONFIG,
        metavar="FILE.json",
        help="see ds_configs/README.md (default zero1_fp32.json)",
    )
    parser.add_argument(
        "--beside",
        nargs="+",
        default=(),
        metavar="TARGET",
        help="checkpoint folders or module:factory, judged as they are beside all runs",
    )
    parser.add_argument(
        "--finished-only", action="store_true", help="train nothing, judge what is finished"
    )
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="B", help="default 8")
    parser.add_argument("--device", help="of the tests; the first GPU by default, if any")
    parser.add_argument("--json", action="store_true", help="print the summary instead of tables")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from launchers.work.study import run

    return run(options)
