"""The second half of a study: finished models in, each of them fine-tuned and judged out.

Every cell, a model on a number of trajectories of a corpus at a learning rate from a seed, is a
run of transfer with a record of its own; from scratch it is the same run for all checkpoints of
an architecture, and done once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.shards.manifest import read_manifest
from evaluation.experiments.run import Trainer, without_progress
from evaluation.harness.compatible import check_compatible
from evaluation.harness.evaluation import silent
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.runner import RunSettings
from evaluation.study.config import StudyConfig, StudyRun, TransferConfig
from evaluation.study.transfer_summary import StudyTransfer, TransferPoint, summarise_transfer
from evaluation.tasks.task import Task
from evaluation.transfer.record import SOURCES, TransferRecord
from evaluation.transfer.run import Target, Watch, open_target, run_sweep
from evaluation.transfer.sweep import (
    Start,
    Terms,
    TransferRun,
    find_done,
    plan,
    read_start,
    record_path,
)
from foundation.train.run_folder import told_loss

Cell = tuple[StudyRun, TransferRun]


@dataclass(frozen=True)
class Transfers:
    """What is fine-tuned, its shards open.

    Attributes:
        title: of the study.
        config: its section.
        targets: by corpus.
    """

    title: str
    config: TransferConfig
    targets: dict[str, Target]

    def starts_from(self, run: StudyRun) -> bool:
        """Whether a model, after its mixture, is among those that are fine-tuned."""
        models, mixtures = self.config.models, self.config.mixtures
        return (models is None or run.model in models) and (
            mixtures is None or run.mixture in mixtures
        )


def open_transfers(
    study: StudyConfig, runs: Sequence[StudyRun], shards: str, known: Mapping[str, Task]
) -> Transfers | None:
    """The section of a study, if it has one; refuses before any training what could not be done.

    Args:
        study: what is compared.
        runs: of the study, resolved.
        shards: name of the folder of shards.
        known: all tasks.

    Raises:
        UserError: a corpus without shards, more trajectories than there are, a recipe or override
            that is none, or several learning rates and no split to choose among them by.
    """
    config = study.transfer
    if config is None:
        return None
    targets = {corpus: open_target(shards, corpus, known) for corpus in config.corpora}
    transfers = Transfers(study.title, config, targets)
    for run in runs:
        if run.seed == 0 and transfers.starts_from(run):
            planned = _planned(
                transfers, "", Start(run.config.model, "", told_loss(run.config.loss)), {}
            )
            for corpus, cell in {cell.corpus: cell for cell in planned}.items():
                _check_choice(config, cell, targets[corpus])
    return transfers


def run_transfers(
    transfers: Transfers,
    finished: Sequence[tuple[StudyRun, Path]],
    output: Path,
    trainer: Trainer[TransferRun],
    settings: RunSettings,
    *,
    finished_only: bool = False,
    watch: Watch = without_progress,
    tell: Callable[[str], None] = silent,
) -> StudyTransfer | None:
    """Do what is not done, and sum it up in `records/study-transfer.json`.

    Args:
        transfers: from `open_transfers`.
        finished: runs of the study with their checkpoint folders.
        output: folder of the study.
        trainer: of the runs.
        settings: of the tests.
        finished_only: train nothing.
        watch: shows how far the runs are.
        tell: takes lines for the user.

    Returns:
        What was found; None if nothing is finished and nothing was to be trained.
    """
    settings = settings.model_copy(update={"limit": transfers.config.limit, "pictures": False})
    starts = [(run, model) for run, model in finished if transfers.starts_from(run)]
    cells = list(_cells(transfers, starts, trainer.engine))
    unique: dict[str, TransferRun] = {}
    for _, run in cells:
        unique.setdefault(run.identity, run)
    runs = list(unique.values())
    if finished_only:
        records = find_done(runs, output)
    else:
        _check_models(starts, transfers.targets, settings)
        done = run_sweep(runs, transfers.targets, output, trainer, settings, watch=watch, tell=tell)
        records = {run.identity: record for run, record in done}
    points = _points(cells, records, output)
    if not points:
        return None
    tasks = {corpus: target.task for corpus, target in transfers.targets.items()}
    summary = summarise_transfer(
        transfers.title,
        {corpus: task.name for corpus, task in tasks.items()},
        {corpus: task.headline for corpus, task in tasks.items()},
        points,
    )
    path = output / "records" / "study-transfer.json"
    replace_file(path, f"{summary.model_dump_json(indent=1)}\n".encode())
    return summary


def _cells(
    transfers: Transfers, starts: Sequence[tuple[StudyRun, Path]], engine: Mapping[str, Any]
) -> Iterator[Cell]:
    for run, model in starts:
        for cell in _planned(transfers, str(model), read_start(str(model)), engine):
            yield run, cell


def _planned(
    transfers: Transfers, checkpoint: str, start: Start, engine: Mapping[str, Any]
) -> Iterator[TransferRun]:
    """All runs from one checkpoint, corpus by corpus."""
    config = transfers.config
    for target in transfers.targets.values():
        for rate in config.learning_rates:
            terms = Terms(
                checkpoint=checkpoint,
                recipe=config.recipe,
                overrides=(*config.overrides, f"optimiser.lr={rate}"),
                sizes=config.sizes,
                seeds=tuple(range(config.seeds)),
                router=config.router,
                engine=dict(engine),
                limit=config.limit,
            )
            sources = SOURCES if config.scratch else SOURCES[:1]
            yield from plan(
                terms, target.train, target.test, target.task, sources=sources, start=start
            )


def _check_choice(config: TransferConfig, run: TransferRun, target: Target) -> None:
    manifest = read_manifest(target.train.folder)
    if len(config.learning_rates) > 1 and not run.tuning.run.validated(manifest):
        raise UserError(
            f"transfer.learning_rates: {len(config.learning_rates)} to choose among, and no "
            f"{run.tuning.run.validation.split} split of {run.corpus} to choose by; generate it, "
            "or name one"
        )


def _check_models(
    starts: Sequence[tuple[StudyRun, Path]], targets: Mapping[str, Target], settings: RunSettings
) -> None:
    for run, model in starts:
        forecaster = open_forecaster(str(model), torch.device(settings.device), run.name)
        for target in targets.values():
            check_compatible(forecaster, target.task, target.test)


def _points(
    cells: Sequence[Cell], records: Mapping[str, TransferRecord], output: Path
) -> list[TransferPoint]:
    """Every run once after every mixture of its model; those from scratch know no checkpoint."""
    points = {}
    for run, cell in cells:
        if (record := records.get(cell.identity)) is None:
            continue
        points[run.model, run.mixture, cell.identity] = TransferPoint(
            model=run.model,
            mixture=run.mixture,
            pretraining_seed=run.seed if cell.source == "pretrained" else None,
            corpus=cell.corpus,
            source=cell.source,
            trajectories=cell.trajectories,
            learning_rate=cell.tuning.run.optimiser.lr,
            seed=cell.seed,
            validation_error=record.transfer.validation_error,
            error=record.error,
            record=record_path(output, cell).name,
        )
    return list(points.values())
