"""What `foundation transfer` does: fine-tune on every size and seed, judge, draw curves."""

import argparse

from data_shards.errors import UserError, unknown_name
from evaluation.harness.runner import RunSettings
from evaluation.tasks.task import Task, load_tasks
from evaluation.transfer.record import TransferSummary
from evaluation.transfer.run import open_target, run_transfer, sizes_of
from evaluation.transfer.sweep import Terms
from evaluation.transfer.table import crossing_text, transfer_table
from foundation.train.room import check_folder
from launchers.console.device import usable_device
from launchers.console.progress import say, watch_runs
from launchers.training.process import TrainingFailedError
from launchers.training.trainings import Trainings

_SIZES = (16, 32, 64, 128)


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
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
