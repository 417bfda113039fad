"""A whole sweep: terms, a corpus and a trainer in; records and a summary on disk out.

    target = open_target("shards", "fno_ns_1e-4", load_tasks())
    terms = Terms("runs/nano/model", "downstream", ("steps=200",), sizes=(4, 8), seeds=(0, 1))
    with Trainings("shards", jobs=2) as trainer:
        summary = run_transfer(terms, target, Path("out"), trainer)

What is done is kept; see `sweep`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.verify import check_checksums
from evaluation.experiments.run import Trainer, without_progress
from evaluation.harness.compatible import check_compatible
from evaluation.harness.evaluation import silent
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.record import Record
from evaluation.records.samples import SampleValues
from evaluation.tasks.task import Task
from evaluation.transfer.plots import draw_transfer
from evaluation.transfer.record import TransferRecord, TransferSummary, summarise, write_json
from evaluation.transfer.sweep import (
    Judge,
    Terms,
    TransferRun,
    find_done,
    plan,
    record_path,
    sweep,
    task_for,
)

Watch = Callable[[Iterable[Any], int, str], Iterable[Any]]  # items, how many, what they are


@dataclass(frozen=True)
class Target:
    """A corpus to learn, and how it is judged.

    Attributes:
        train: split to learn from.
        test: split of the task.
        task: a forecast.
    """

    train: ShardedCorpus
    test: ShardedCorpus
    task: Task


def open_target(
    shards: str, corpus: str, known: Mapping[str, Task], task: str | None = None
) -> Target:
    """A corpus by its name.

    Args:
        shards: name of the folder that holds its splits.
        corpus: to learn.
        known: all tasks.
        task: its test; by default its zero-shot or downstream task, or its card's window.

    Raises:
        UserError: no such corpus, split or task of it.
    """
    train = _opened(shards, corpus, "train")
    judged = task_for(train.card, dict(known), task)
    return Target(train, _opened(shards, corpus, judged.split), judged)


def sizes_of(
    task: Task, trajectories: int, tell: Callable[[str], None] = silent
) -> tuple[int, ...]:
    """Sizes that a few-shot task asks for, as far as the shards reach; none of another task.

    Args:
        task: as it is named.
        trajectories: that there are to learn from.
        tell: takes lines for the user.

    Raises:
        UserError: there are fewer than its smallest size.
    """
    kept = tuple(size for size in task.few_shot if size <= trajectories)
    if task.few_shot and not kept:
        raise UserError(
            f"task {task.name}: learns from {min(task.few_shot)} trajectories and more, the "
            f"shards have {trajectories}; generate more, or ask for fewer by --sizes"
        )
    if len(kept) < len(task.few_shot):
        left = ", ".join(str(size) for size in task.few_shot if size > trajectories)
        tell(f"left out: {task.name} with {left} trajectories: the shards have {trajectories}")
    return kept


def run_transfer(
    terms: Terms,
    target: Target,
    output: Path,
    trainer: Trainer[TransferRun],
    *,
    settings: RunSettings | None = None,
    keep_models: bool = False,
    watch: Watch = without_progress,
    tell: Callable[[str], None] = silent,
) -> TransferSummary:
    """Do what is not done of a sweep, and sum it up in `transfer.json` and `transfer.svg`.

    Args:
        terms: what is asked for; how it is trained is the trainer's to say.
        target: what is learnt.
        output: folder of the sweep.
        trainer: of the runs.
        settings: of the tests; all trajectories but for the limit of the terms.
        keep_models: whether fine-tuned weights stay.
        watch: shows how far the runs are.
        tell: takes lines for the user.

    Raises:
        UserError: something is missing, or does not fit.
    """
    terms = replace(terms, engine=dict(trainer.engine))
    settings = (settings or RunSettings()).model_copy(
        update={"limit": terms.limit, "pictures": False}
    )
    runs = plan(terms, target.train, target.test, target.task)
    judged = open_forecaster(terms.checkpoint, torch.device(settings.device))
    check_compatible(judged, target.task, target.test)
    found = run_sweep(
        runs,
        {target.train.name: target},
        output,
        trainer,
        settings,
        keep_models=keep_models,
        watch=watch,
        tell=tell,
    )
    summary = summarise({record_path(output, run).name: record for run, record in found})
    write_json(output / "transfer.json", summary)
    replace_file(output / "transfer.svg", draw_transfer(summary).encode())
    return summary


def run_sweep(
    runs: Sequence[TransferRun],
    targets: Mapping[str, Target],
    output: Path,
    trainer: Trainer[TransferRun],
    settings: RunSettings,
    *,
    keep_models: bool = False,
    watch: Watch = without_progress,
    tell: Callable[[str], None] = silent,
) -> list[tuple[TransferRun, TransferRecord]]:
    """Runs of any checkpoints and corpora with their records, in the order of the runs.

    Args:
        runs: from `plan`, each once.
        targets: by the name of the corpus.
        output: folder of the sweep.
        trainer: of the runs.
        settings: of the tests.
        keep_models: whether fine-tuned weights stay.
        watch: shows how far the runs are.
        tell: takes lines for the user.
    """
    done = set(find_done(runs, output))
    if len(done) < len(runs):
        learnt = {run.corpus for run in runs if run.identity not in done}
        check_checksums(
            split for name in sorted(learnt) for split in (targets[name].train, targets[name].test)
        )
    if done:
        tell(f"kept: {len(done)} of {len(runs)} runs")
    finished = sweep(
        runs,
        output,
        trainer,
        judge_by(targets, settings),
        keep_models,
        jobs=trainer.jobs,
        stop=trainer.stop,
    )
    several = any(run.terms != runs[0].terms for run in runs)
    records = {}
    for run, record in watch(finished, len(runs), "transfer"):
        records[run.identity] = record
        if run.identity not in done:
            tell(_said(run, record, several))
    return [(run, records[run.identity]) for run in runs]


def judge_by(targets: Mapping[str, Target], settings: RunSettings) -> Judge:
    """Judges a run on the test of its corpus."""

    def judge(run: TransferRun, model: Path) -> tuple[Record, SampleValues]:
        target = targets[run.corpus]
        forecaster = open_forecaster(str(model), torch.device(settings.device), _label(run))
        return run_task(forecaster, target.task, target.test, settings)

    return judge


def _opened(shards: str, corpus: str, split: str) -> ShardedCorpus:
    return ShardedCorpus.open(find_shards(shards, [(corpus, split)]), corpus, split)


def _label(run: TransferRun) -> str:
    """A run in its record."""
    started = Path(run.terms.checkpoint).resolve()
    name = started.parent.name if started.name == "model" else started.name
    source = name if run.source == "pretrained" else f"{name} from scratch"
    return f"{source}, {run.trajectories} of {run.corpus}"


def _said(run: TransferRun, record: TransferRecord, several: bool) -> str:
    """A run that was done now; of several sweeps with what tells them apart."""
    facts, asked = record.transfer, f"{run.source}, {run.trajectories} trajectories"
    if several:
        asked = f"{_label(run)}, rate {run.tuning.run.optimiser.lr:g}"
    return (
        f"{asked}, seed {run.seed}: {record.record.task.headline} {record.error:.4g} "
        f"after {facts.steps} steps, {facts.train_seconds:.0f} s"
    )
