"""`foundation transfer`: a checkpoint and a corpus in, few-shot curves out.

Every run is trained in a process of its own, several at a time if so asked.
"""

import argparse
from pathlib import Path

from launchers.console.arguments import (
    CHECKPOINT_HELP,
    DEFAULT_DEEPSPEED_CONFIG,
    Subparsers,
    add_parser,
    add_shards_option,
    positive,
)
from launchers.console.recipe_options import add_recipe_options
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation transfer runs/small/model --corpus fno_ns_1e-4 --shards shards/ \\
      --sizes 16,32,64,128 --seeds 3 --output transfer/ns1e-4
  foundation transfer runs/small/model --task few_shot_wave_layer --shards shards/ \\
      --output transfer/wave
  foundation transfer runs/nano/model --corpus fno_ns_1e-4 --shards shards/ \\
      --sizes 4,8,16 --steps 200 --router free --output transfer/quick optimiser.lr=3e-4

`foundation tasks --group few_shot` lists tests that name their corpus and sizes.
Each size and seed is learnt from the checkpoint and from scratch with the same steps, windows
and optimiser, and judged on the test split. The trajectories of a size are among those of a
larger one. Records go to OUTPUT/records, curves to transfer.json and transfer.svg. The same
command goes on where it was stopped; a run is repeated only if something that decides it changed.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `transfer` to the console."""
    parser = add_parser(subparsers, "transfer", SUMMARIES["transfer"], _EXAMPLE)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=CHECKPOINT_HELP)
    parser.add_argument("--corpus", metavar="NAME", help="what to learn; that of --task by default")
    add_shards_option(parser, "its training and test shards")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--sizes",
        type=_sizes,
        metavar="N[,N]",
        help="numbers of trajectories (default: those of a few-shot --task, else 16,32,64,128)",
    )
    parser.add_argument("--seeds", type=positive, default=3, metavar="K", help="default 3")
    add_recipe_options(parser, default="downstream")
    parser.add_argument("--task", metavar="T", help="test; by default the corpus's zero-shot task")
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    parser.add_argument("--limit", type=positive, metavar="N", help="only N test trajectories")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="B", help="default 8")
    parser.add_argument("--device", help="of the tests; the first GPU by default, if any")
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="J", help="trainings at a time (default 1)"
    )
    parser.add_argument("--ranks", type=positive, default=1, help="of every training (default 1)")
    parser.add_argument(
        "--deepspeed-config",
        type=Path,
        default=DEFAULT_DEEPSPEED_CONFIG,
        metavar="FILE.json",
        help="see ds_configs/README.md (default zero1_fp32.json)",
    )
    parser.add_argument("--keep-models", action="store_true", help="keep the fine-tuned weights")
    parser.add_argument("--json", action="store_true", help="print the summary instead of a table")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key.path=value", help="as in optimiser.lr=3e-4"
    )
    parser.set_defaults(run=_run)


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(positive(word) for word in text.split(",") if word.strip())
    if not sizes:
        raise argparse.ArgumentTypeError(f"{text!r} names no number of trajectories")
    return sizes


def _run(options: argparse.Namespace) -> int:
    from launchers.work.transfer import run

    return run(options)
