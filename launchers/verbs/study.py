"""`foundation study`: models, mixtures and seeds in; trained, judged and summarised out."""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import torch

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.verify import check_checksums
from evaluation.harness.campaign import Campaign
from evaluation.harness.floors import FLOORS, floors_of
from evaluation.harness.forecaster import FLOOR_PREFIX, open_forecaster
from evaluation.harness.ranks import Ranks
from evaluation.harness.resume import read_judged
from evaluation.harness.runner import RunSettings
from evaluation.records.record import Record
from evaluation.study.config import StudyConfig, StudyRun, read_study, runs_of
from evaluation.study.folders import finished_model, training_folder
from evaluation.study.plots import draw_study
from evaluation.study.summary import StudyPoint, StudySummary, summarise
from evaluation.study.table import study_tables
from evaluation.tasks.task import Task, load_tasks, select_tasks
from foundation.checkpoint.folder import read_config
from launchers.console.arguments import (
    DEFAULT_DEEPSPEED_CONFIG,
    Subparsers,
    add_parser,
    add_shards_option,
    positive,
)
from launchers.console.device import usable_device
from launchers.console.progress import progress, say
from launchers.training.process import TrainingFailedError, module_command, resuming, train_in
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

Every model learns every mixture from every seed, in a process of its own; all are judged beside
the floors. OUTPUT/runs holds training folders, OUTPUT/records what foundation leaderboard reads:
records, and study.json with means over seeds, ranks and wins. The same command goes on where it
was stopped; a finished run is never trained again.
"""


@dataclass(frozen=True)
class _Training:
    """Trains runs of a study, each in a process of its own."""

    shards: str
    output: Path
    deepspeed_config: Path
    ranks: int
    ep_size: int
    jobs: int

    def __call__(self, run: StudyRun) -> Path:
        folder = training_folder(self.output, run)
        return train_in(folder, self.command(run, folder), run.name, beside=self.jobs)

    def command(self, run: StudyRun, folder: Path) -> list[str]:
        """The command line of a run."""
        spread = min(self.ep_size, self.ranks) if run.config.model.num_routed else 1
        return [
            *module_command("launchers.pretrain", self.ranks),
            *("--preset", run.preset, "--shards", self.shards, "--output", str(folder)),
            *("--ep_size", str(spread), "--deepspeed_config", str(self.deepspeed_config)),
            *("--skip_checksums", *resuming(folder)),
            *run.overrides,
        ]


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
        "--finished-only", action="store_true", help="train nothing, judge what is finished"
    )
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="B", help="default 8")
    parser.add_argument("--device", help="of the tests; the first GPU by default, if any")
    parser.add_argument("--json", action="store_true", help="print the summary instead of tables")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    device = usable_device(options.device)
    study = read_study(options.study)
    runs = runs_of(study)
    tasks = _tasks(study, options.include)
    learnt = {(c, run.config.data.split) for run in runs for c in run.config.data.corpora}
    judged = {(task.corpus, task.split) for task in tasks}
    shards = find_shards(options.shards, learnt | judged)
    # What is not there is refused before any training.
    train = {name: ShardedCorpus.open(shards, name, split) for name, split in sorted(learnt)}
    tests = {t.name: ShardedCorpus.open(shards, t.corpus, t.split) for t in tasks}
    prints = {name: corpus.fingerprint for name, corpus in train.items()}
    models = {run.name: finished_model(options.output, run, _of(run, prints)) for run in runs}
    to_train = [run for run in runs if models[run.name] is None]
    if len(to_train) < len(runs):
        say(f"kept: {len(runs) - len(to_train)} of {len(runs)} trainings")
    if to_train and not options.finished_only:
        check_checksums(train.values())
        try:
            models |= _train(to_train, options)
        except TrainingFailedError as error:
            say(f"stopped: {error}")
            return 1
    finished = [(run, model) for run in runs if (model := models[run.name]) is not None]
    records = _judge(study, finished, tasks, tests, options, device)
    _report(options, _summary(study, finished, tasks, records))
    return 0


def _of(run: StudyRun, prints: dict[str, str]) -> dict[str, str]:
    return {name: prints[name] for name in run.config.data.corpora}


def _tasks(study: StudyConfig, include: Path | None) -> tuple[Task, ...]:
    """Tasks that make a mean of errors."""
    tasks = select_tasks(study.tasks, load_tasks(include))
    for task in tasks:
        if task.higher_is_better or task.kind != "forecast":
            raise UserError(
                f"task {task.name}: its headline {task.headline} is no forecast's error"
            )
    return tasks


def _train(runs: Sequence[StudyRun], options: argparse.Namespace) -> dict[str, Path]:
    """Checkpoint folders by the names of the runs."""
    train = _Training(
        options.shards,
        options.output,
        options.deepspeed_config,
        options.ranks,
        options.ep_size,
        options.jobs,
    )
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(train, run): run.name for run in runs}
        try:
            return {
                futures[future]: future.result()
                for future in progress(
                    as_completed(futures), total=len(runs), label="study", unit="run"
                )
            }
        except BaseException:
            # Those at work save (when interrupted) or end; the others need not begin.
            pool.shutdown(cancel_futures=True)
            raise


def _judge(
    study: StudyConfig,
    finished: Sequence[tuple[StudyRun, Path]],
    tasks: Sequence[Task],
    tests: dict[str, ShardedCorpus],
    options: argparse.Namespace,
    device: torch.device,
) -> list[Record]:
    """Records of every finished run and of the floors."""
    pairs = [
        (open_forecaster(f"{FLOOR_PREFIX}{name}", device), task)
        for name in FLOORS
        for task in tasks
        if name in floors_of(tests[task.name].card)
    ]
    for run, model in finished:
        forecaster = open_forecaster(str(model), device, _label(study, run))
        pairs += [(forecaster, task) for task in tasks]
    output = options.output / "records" / "study-runs.json"
    settings = RunSettings(batch_size=options.batch_size, device=str(device))
    campaign = Campaign(output, settings, tests, pairs)
    campaign.check()
    judged = read_judged(output)
    check_checksums(campaign.splits_to_read(judged))
    output.parent.mkdir(parents=True, exist_ok=True)
    return campaign.run(judged, Ranks())


def _label(study: StudyConfig, run: StudyRun) -> str:
    """A run on a board."""
    mixture = f", {run.mixture}" if len(study.mixtures) > 1 else ""
    return f"{run.model}{mixture}, seed {run.seed}"


def _summary(
    study: StudyConfig,
    finished: Sequence[tuple[StudyRun, Path]],
    tasks: Sequence[Task],
    records: Sequence[Record],
) -> StudySummary:
    own: dict[str, list[Record]] = {}
    for record in records:
        own.setdefault(record.model.name, []).append(record)
    points = [
        _point(run, read_config(model)[1], own[_label(study, run)]) for run, model in finished
    ]
    return summarise(study.title, {task.name: task.headline for task in tasks}, points)


def _point(run: StudyRun, about: dict[str, int], records: Sequence[Record]) -> StudyPoint:
    facts = records[0].model
    return StudyPoint(
        name=run.name,
        model=run.model,
        mixture=run.mixture,
        corpora=len(run.config.data.corpora),
        seed=run.seed,
        steps=about["steps"],
        samples=about["samples"],
        parameters_total=facts.parameters_total,
        parameters_activated=facts.parameters_activated,
        flops_per_frame=facts.flops_per_frame,
        errors={record.task.name: record.headline.value for record in records},
    )


def _report(options: argparse.Namespace, summary: StudySummary) -> None:
    path = options.output / "records" / "study.json"
    replace_file(path, f"{summary.model_dump_json(indent=1)}\n".encode())
    replace_file(options.output / "study.svg", draw_study(summary).encode())
    text = f"# {summary.title}\n\n{study_tables(summary)}\n"
    replace_file(options.output / "study.md", text.encode())
    print(path.read_text() if options.json else text, end="")
    if not options.json:
        print(f"\nsummary: {path}\nboard: foundation leaderboard {path.parent} --output board")
