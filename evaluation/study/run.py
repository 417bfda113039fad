"""A whole study: its configuration, shards and a trainer in; records and summaries on disk out.

    with Trainings("shards", jobs=2) as trainer:
        found = run_study(read_study(Path("study.yaml")), "shards", Path("out"), trainer)

All runs are trained, then judged beside the floors; then every model is fine-tuned, if the study
says so. What is done is kept at every stage.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.verify import check_checksums
from evaluation.experiments.run import Trainer, run_all, training_folder, without_progress
from evaluation.harness.compatible import check_compatible
from evaluation.harness.evaluation import Evaluation, silent
from evaluation.harness.floors import FLOORS, floors_of
from evaluation.harness.forecaster import FLOOR_PREFIX, Forecaster, open_forecaster, said_of
from evaluation.harness.ranks import Ranks
from evaluation.harness.resume import read_judged
from evaluation.harness.runner import RunSettings
from evaluation.records.record import Record
from evaluation.study.config import StudyConfig, StudyRun, runs_of
from evaluation.study.plots import draw_study
from evaluation.study.summary import StudyPoint, StudySummary, summarise
from evaluation.study.table import beside_table, study_tables, transfer_tables
from evaluation.study.transfer import Transfers, open_transfers, run_transfers
from evaluation.study.transfer_summary import StudyTransfer
from evaluation.tasks.task import Task, load_tasks, select_tasks
from evaluation.transfer.run import Watch
from evaluation.transfer.sweep import TransferRun
from foundation.checkpoint.folder import read_config
from foundation.train.run_folder import finished_model, seconds_of_steps

Finished = list[tuple[StudyRun, Path]]  # runs with their checkpoint folders


@dataclass(frozen=True)
class Study:
    """A study of which nothing is missing.

    Attributes:
        config: what is compared.
        runs: resolved.
        tasks: that every run is judged on.
        learnt: opened splits that are learnt from, by corpus.
        tests: opened splits by the name of the task.
        known: those that bands are calibrated on, likewise.
        transfers: what follows; None if nothing does.
    """

    config: StudyConfig
    runs: tuple[StudyRun, ...]
    tasks: tuple[Task, ...]
    learnt: dict[str, ShardedCorpus]
    tests: dict[str, ShardedCorpus]
    transfers: Transfers | None
    known: dict[str, ShardedCorpus] = field(default_factory=dict)

    def prints(self, run: StudyRun) -> dict[str, str]:
        """Fingerprints of what a run learns from, by corpus."""
        return {name: self.learnt[name].fingerprint for name in run.config.data.corpora}

    def finished(self, output: Path) -> Finished:
        """Runs that are trained already.

        Raises:
            UserError: a folder holds another run.
        """
        found = (
            (run, finished_model(training_folder(output, run), run.config, self.prints(run)))
            for run in self.runs
        )
        return [(run, model) for run, model in found if model is not None]


@dataclass(frozen=True)
class StudyResult:
    """What a study found; None where nothing was fine-tuned."""

    summary: StudySummary
    transfer: StudyTransfer | None
    beside: tuple[Record, ...] = ()  # of what was judged as it is

    @property
    def text(self) -> str:
        """All tables, in Markdown."""
        tables = [study_tables(self.summary)]
        if self.beside:
            tables.append(beside_table(self.summary, self.beside))
        if self.transfer is not None:
            tables.append(transfer_tables(self.transfer))
        return f"# {self.summary.title}\n\n" + "\n\n".join(tables) + "\n"


def open_study(config: StudyConfig, shards: str, include: Path | None = None) -> Study:
    """Resolve a study and open its shards; refuses what is missing before any training.

    Args:
        config: what is compared.
        shards: name of the folder of shards.
        include: folder of further task files.

    Raises:
        UserError: an unknown preset, override, task or corpus, or no shards of one.
    """
    runs, known = runs_of(config), load_tasks(include)
    tasks = _errors_alone(select_tasks(config.tasks, known))
    learnt = {(c, run.config.data.split) for run in runs for c in run.config.data.corpora}
    judged = {(task.corpus, task.split) for task in tasks}
    judged |= {task.calibration for task in tasks if task.calibration is not None}
    folder = find_shards(shards, learnt | judged)
    return Study(
        config=config,
        runs=tuple(runs),
        tasks=tasks,
        learnt={name: ShardedCorpus.open(folder, name, split) for name, split in sorted(learnt)},
        tests={t.name: ShardedCorpus.open(folder, t.corpus, t.split) for t in tasks},
        known={
            task.name: ShardedCorpus.open(folder, *task.calibration)
            for task in tasks
            if task.calibration is not None
        },
        transfers=open_transfers(config, runs, shards, known),
    )


def run_study(
    config: StudyConfig,
    shards: str,
    output: Path,
    trainer: Trainer[StudyRun | TransferRun],
    *,
    settings: RunSettings | None = None,
    include: Path | None = None,
    beside: Sequence[str] = (),
    finished_only: bool = False,
    watch: Watch = without_progress,
    tell: Callable[[str], None] = silent,
) -> StudyResult:
    """Do what is not done of a study, and sum it up.

    Args:
        config: what is compared.
        shards: name of the folder of shards.
        output: folder of the study.
        trainer: of its runs.
        settings: of the tests.
        include: folder of further task files.
        beside: what else is judged, as it is: checkpoint folders or `module:factory`.
        finished_only: train nothing, judge what is there.
        watch: shows how far the runs are.
        tell: takes lines for the user.

    Raises:
        UserError: something is missing or does not fit, or nothing is finished.
    """
    study, settings = open_study(config, shards, include), settings or RunSettings()
    others = _opened(study, beside, torch.device(settings.device))
    finished = study.finished(output)
    if finished:
        tell(f"kept: {len(finished)} of {len(study.runs)} trainings")
    if not finished_only and len(finished) < len(study.runs):
        finished = _trained(study, finished, output, trainer, watch)
    records = _judged(study, others, finished, output, settings)
    summary = _summary(study, finished, records)
    names = {forecaster.facts.name for forecaster in others}
    own = tuple(record for record in records if record.model.name in names)
    result = StudyResult(summary, None, own)
    _write(output, result)
    if study.transfers is None:
        return result
    transfer = run_transfers(
        study.transfers,
        finished,
        output,
        trainer,
        settings,
        finished_only=finished_only,
        watch=watch,
        tell=tell,
    )
    result = replace(result, transfer=transfer)
    _write(output, result)
    return result


def _errors_alone(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Tasks that make a mean of errors."""
    for task in tasks:
        if task.higher_is_better or task.kind != "forecast":
            raise UserError(
                f"task {task.name}: its headline {task.headline} is no forecast's error"
            )
    return tuple(tasks)


def _trained(
    study: Study,
    finished: Finished,
    output: Path,
    trainer: Trainer[StudyRun | TransferRun],
    watch: Watch,
) -> Finished:
    """All runs, those that are not finished trained now."""
    check_checksums(study.learnt.values())
    trained = run_all(
        study.runs,
        {run.identity: model for run, model in finished},
        lambda run: trainer(run, training_folder(output, run)),
        lambda run, done: done.model,
        jobs=trainer.jobs,
        stop=trainer.stop,
    )
    models = {run.name: model for run, model in watch(trained, len(study.runs), "study")}
    return [(run, models[run.name]) for run in study.runs]


def _opened(study: Study, beside: Sequence[str], device: torch.device) -> list[Forecaster]:
    """What is judged as it is; its faults are found before any training."""
    opened = [open_forecaster(target, device) for target in beside]
    for forecaster in opened:
        for task in study.tasks:
            check_compatible(forecaster, task, study.tests[task.name])
    return opened


def _judged(
    study: Study,
    beside: Sequence[Forecaster],
    finished: Finished,
    output: Path,
    settings: RunSettings,
) -> list[Record]:
    """Records of every finished run, of the floors and of what stands beside."""
    device = torch.device(settings.device)
    pairs = [
        (open_forecaster(f"{FLOOR_PREFIX}{name}", device), task)
        for name in FLOORS
        for task in study.tasks
        if name in floors_of(study.tests[task.name].card)
    ]
    pairs += [(forecaster, task) for forecaster in beside for task in study.tasks]
    for run, model in finished:
        forecaster = open_forecaster(str(model), device, _called(study, run))
        pairs += [(forecaster, task) for task in study.tasks]
    results = output / "records" / "study-runs.json"
    evaluation_run = Evaluation(results, settings, study.tests, pairs, study.known)
    evaluation_run.check()
    judged = read_judged(results)
    check_checksums(evaluation_run.splits_to_read(judged))
    results.parent.mkdir(parents=True, exist_ok=True)
    return evaluation_run.run(judged, Ranks())


def _label(study: Study, run: StudyRun) -> str:
    """A run on a board."""
    return said_of(_called(study, run), run.config.transductive)


def _called(study: Study, run: StudyRun) -> str:
    """A run by its model, mixture and seed."""
    mixture = f", {run.mixture}" if len(study.config.mixtures) > 1 else ""
    return f"{run.model}{mixture}, seed {run.seed}"


def _summary(study: Study, finished: Finished, records: Sequence[Record]) -> StudySummary:
    own: dict[str, list[Record]] = {}
    for record in records:
        own.setdefault(record.model.name, []).append(record)
    points = [_point(run, model, own[_label(study, run)]) for run, model in finished]
    headlines = {task.name: task.headline for task in study.tasks}
    return summarise(study.config.title, headlines, points)


def _point(run: StudyRun, model: Path, records: Sequence[Record]) -> StudyPoint:
    about, facts = read_config(model)[1], records[0].model
    _, seconds = seconds_of_steps(model.parent, "processor_seconds_per_step")
    return StudyPoint(
        name=run.name,
        model=run.model,
        mixture=run.mixture,
        corpora=len(run.config.data.corpora),
        seed=run.seed,
        steps=about["steps"],
        samples=about["samples"],
        processor_seconds=seconds,
        parameters_total=facts.parameters_total,
        parameters_activated=facts.parameters_activated,
        flops_per_frame=facts.flops_per_frame,
        errors={record.task.name: record.headline.value for record in records},
    )


def _write(output: Path, result: StudyResult) -> None:
    summary = result.summary
    path = output / "records" / "study.json"
    replace_file(path, f"{summary.model_dump_json(indent=1)}\n".encode())
    replace_file(output / "study.svg", draw_study(summary).encode())
    replace_file(output / "study.md", result.text.encode())
