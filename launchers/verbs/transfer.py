"""`foundation transfer`: a checkpoint and a corpus in, few-shot curves out.

Every run is trained in a process of its own, several at a time if so asked.
"""

import argparse
from pathlib import Path

from data_shards.errors import UserError, unknown_name
from evaluation.harness.runner import RunSettings
from evaluation.tasks.task import Task, load_tasks
from evaluation.transfer.record import TransferSummary
from evaluation.transfer.run import open_target, run_transfer, sizes_of
from evaluation.transfer.sweep import Terms
from evaluation.transfer.table import crossing_text, transfer_table
from foundation.train.room import check_folder
from launchers.console.arguments import (
    CHECKPOINT_HELP,
    DEFAULT_DEEPSPEED_CONFIG,
    Subparsers,
    add_parser,
    add_shards_option,
    positive,
)
from launchers.console.device import usable_device
from launchers.console.progress import say, watch_runs
from launchers.console.recipe_options import add_recipe_options
from launchers.training.process import TrainingFailedError
from launchers.training.trainings import Trainings
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


_SIZES = (16, 32, 64, 128)


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


def _run(options: argparse.Namespace) -> int:
    check_folder(options.output)
    settings = RunSettings(batch_size=options.batch_size, device=str(usable_device(options.device)))
    known = load_tasks(options.include)
    target = open_target(options.shards, _corpus(options, known), known, options.task)
    asked = known.get(options.task, target.task)
    options.sizes = options.sizes or sizes_of(asked, target.train.num_trajectories, say) or _SIZES
    with Trainings(
        options.shards,
        jobs=options.jobs,
        ranks=options.ranks,
        deepspeed_config=options.deepspeed_config,
    ) as trainer:
        try:
            summary = run_transfer(
                _terms(options),
                target,
                options.output,
                trainer,
                settings=settings,
                keep_models=options.keep_models,
                watch=watch_runs,
                tell=say,
            )
        except TrainingFailedError as error:
            say(f"stopped: {error}")
            return 1
    _report(options, summary)
    return 0


def _corpus(options: argparse.Namespace, known: dict[str, Task]) -> str:
    """What is to be learnt, as said or as the task says."""
    if options.corpus is not None:
        return str(options.corpus)
    if options.task is None:
        raise UserError("nothing to learn; name it by --corpus, or a test of it by --task")
    if options.task not in known:
        raise unknown_name("task", options.task, known)
    return known[options.task].corpus


def _terms(options: argparse.Namespace) -> Terms:
    length = [] if options.steps is None else [f"steps={options.steps}"]
    return Terms(
        checkpoint=options.checkpoint,
        recipe=options.recipe,
        overrides=(*length, *options.overrides),
        sizes=options.sizes,
        seeds=tuple(range(options.seeds)),
        router=options.router,
        limit=options.limit,
    )


def _report(options: argparse.Namespace, summary: TransferSummary) -> None:
    path = options.output / "transfer.json"
    if options.json:
        print(path.read_text(), end="")
        return
    print(f"{summary.task}, recipe {options.recipe}, routers {summary.router}\n")
    print(transfer_table(summary))
    if crossing := crossing_text(summary):
        print(f"\n{crossing}")
    print(f"\ncurves: {path}, {path.with_suffix('.svg')}")


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(positive(word) for word in text.split(",") if word.strip())
    if not sizes:
        raise argparse.ArgumentTypeError(f"{text!r} names no number of trajectories")
    return sizes
