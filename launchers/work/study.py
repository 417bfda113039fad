"""What `foundation study` does: train what is not trained yet, judge all, sum up."""

import argparse

from evaluation.harness.runner import RunSettings
from evaluation.study.config import read_study
from evaluation.study.run import StudyResult, run_study
from foundation.train.room import check_folder
from launchers.console.device import usable_device
from launchers.console.progress import say, watch_runs
from launchers.training.process import TrainingFailedError
from launchers.training.trainings import Trainings


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
    check_folder(options.output)
    settings = RunSettings(batch_size=options.batch_size, device=str(usable_device(options.device)))
    study = read_study(options.study)
    with Trainings(
        options.shards,
        jobs=options.jobs,
        ranks=options.ranks,
        ep_size=options.ep_size,
        deepspeed_config=options.deepspeed_config,
    ) as trainer:
        try:
            result = run_study(
                study,
                options.shards,
                options.output,
                trainer,
                settings=settings,
                include=options.include,
                beside=options.beside,
                finished_only=options.finished_only,
                watch=watch_runs,
                tell=say,
            )
        except TrainingFailedError as error:
            say(f"stopped: {error}")
            return 1
    _report(options, result)
    return 0


def _report(options: argparse.Namespace, result: StudyResult) -> None:
    path = options.output / "records" / "study.json"
    if options.json:
        print(path.read_text(), end="")
        return
    print(result.text, end="")
    print(f"\nsummary: {path}")
    if result.transfer is not None:
        print(f"fine-tuned: {path.with_name('study-transfer.json')}")
    print(f"board: foundation leaderboard {path.parent} --output board")
