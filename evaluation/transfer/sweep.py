"""The sweep: a checkpoint, a corpus, sizes and seeds in, one record per run out.

Every number of trajectories and seed is learnt twice with the same budget: from
the checkpoint, and from scratch. What was done under the very same inputs is
taken from its record; the fingerprint of the inputs is part of its name.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_shards.card import CorpusCard
from data_shards.errors import UserError
from data_shards.hashing import digest
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Manifest, read_manifest
from evaluation.experiments.run import Trained, run_all, training_folder
from evaluation.records.record import Record
from evaluation.records.results import save_results
from evaluation.records.samples import SampleValues
from evaluation.tasks.task import Task, task_of_card
from evaluation.transfer.record import (
    SOURCES,
    Source,
    TransferFacts,
    TransferRecord,
    read_record,
    write_json,
)
from foundation.checkpoint.folder import find_folder, fingerprint_of, read_config
from foundation.models.registry import ModelConfig
from foundation.train.config import RunConfig
from foundation.train.finetuning import FineTuning, RouterMode, load_finetuning
from foundation.train.run_folder import loss_of, validation_error

# Raised when the same inputs give another result: old records are then not taken.
_VERSION = 1


@dataclass(frozen=True)
class Terms:
    """What a sweep asks for.

    Attributes:
        checkpoint: as on the command line.
        recipe: name or file.
        overrides: "key.path=value", for both sources.
        sizes: numbers of trajectories.
        seeds: of each size.
        router: of the runs from the checkpoint; None for the default of its architecture.
        engine: plain values of the DeepSpeed configuration.
        limit: test trajectories judged; None for all.
    """

    checkpoint: str
    recipe: str
    overrides: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    router: RouterMode | None = None
    engine: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None


@dataclass(frozen=True)
class Start:
    """The checkpoint that runs start from: its network, sha256 of that and its weights, loss."""

    model: ModelConfig
    sha256: str
    loss: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TransferRun:
    """One run of a sweep, resolved."""

    terms: Terms
    source: Source
    trajectories: int
    seed: int
    tuning: FineTuning
    corpus: str
    train_fingerprint: str
    validation_fingerprint: str | None  # where validation chooses the weights
    checkpoint_sha256: str | None
    identity: str

    @property
    def name(self) -> str:
        """Of its record and of its training folder."""
        asked = f"{self.corpus}-{self.source}-{self.trajectories:05d}-seed{self.seed}"
        return f"{asked}-{self.identity[:12]}"


Train = Callable[[TransferRun, Path], Path]  # into a training folder; gives the checkpoint folder
Judge = Callable[[TransferRun, Path], tuple[Record, SampleValues]]


def read_start(checkpoint: str) -> Start:
    """A checkpoint by its folder or hub id.

    Raises:
        UserError: it cannot be found or read.
    """
    folder = find_folder(checkpoint)
    model, about = read_config(folder)
    return Start(model, fingerprint_of(folder), loss_of(about))


def plan(
    terms: Terms,
    train: ShardedCorpus,
    test: ShardedCorpus,
    task: Task,
    *,
    sources: Sequence[Source] = SOURCES,
    start: Start | None = None,
) -> list[TransferRun]:
    """All runs of a sweep, small ones first; refuses what none of them could do.

    Args:
        terms: what is asked for.
        train: split to learn from.
        test: split of the task.
        task: the terms of the test.
        sources: of the weights that runs start from.
        start: what the checkpoint of the terms holds; read if not given.

    Raises:
        UserError: an unusable checkpoint, recipe or override, or more trajectories than there are.
    """
    if too_large := [size for size in terms.sizes if size > train.num_trajectories]:
        raise UserError(
            f"sizes {too_large}: corpus {train.name} has {train.num_trajectories} trajectories "
            "to learn from; ask for fewer, or generate more"
        )
    for override in terms.overrides:
        if override.startswith(("seed=", "data.limit=")):
            raise UserError(f"override {override!r}: the sweep sets it; use --seeds and --sizes")
    start = start or read_start(terms.checkpoint)
    manifest = read_manifest(train.folder)
    runs = []
    for size in sorted(set(terms.sizes)):
        for seed in terms.seeds:
            for source in sources:
                scratch = source == "scratch"
                tuning = load_finetuning(
                    terms.recipe,
                    start.model,
                    train.entry,
                    [*terms.overrides, f"seed={seed}"],
                    trajectories=size,
                    router=None if scratch else terms.router,
                    from_scratch=scratch,
                    learnt_by=start.loss,
                )
                run = TransferRun(
                    terms=terms,
                    source=source,
                    trajectories=size,
                    seed=seed,
                    tuning=tuning,
                    corpus=train.name,
                    train_fingerprint=train.fingerprint,
                    validation_fingerprint=_choosing(tuning.run, manifest),
                    checkpoint_sha256=None if scratch else start.sha256,
                    identity="",
                )
                runs.append(replace(run, identity=identity_of(run, test.fingerprint, task)))
    return runs


def identity_of(run: TransferRun, test_fingerprint: str, task: Task) -> str:
    """sha256 of all that decides a run's result.

    From scratch nothing of the checkpoint counts but its architecture, so that sweeps of
    several checkpoints share these runs.
    """
    inputs = {
        "version": _VERSION,
        "source": run.source,
        "weights": run.checkpoint_sha256,
        "router": run.tuning.router,
        "run": run.tuning.run.deciding_values(hashed=True),
        "engine": run.terms.engine,
        "train": run.train_fingerprint,
        "test": test_fingerprint,
        "task": task.hash,
        "limit": run.terms.limit,
    }
    if run.validation_fingerprint is not None:
        inputs["validation"] = run.validation_fingerprint
    return digest(inputs)


def find_done(runs: Iterable[TransferRun], output: Path) -> dict[str, TransferRecord]:
    """Records of runs that were finished under the very same inputs, by identity.

    Raises:
        UserError: a record is damaged.
    """
    found = {run.identity: read_record(record_path(output, run)) for run in runs}
    return {
        identity: record
        for identity, record in found.items()
        if record is not None and record.transfer.identity == identity
    }


def sweep(
    runs: Sequence[TransferRun],
    output: Path,
    train: Train,
    judge: Judge,
    keep_models: bool = False,
    *,
    jobs: int = 1,
    stop: Callable[[], object] = lambda: None,
) -> Iterator[tuple[TransferRun, TransferRecord]]:
    """Do what is not done; every run comes out with its record once that is on disk.

    Args:
        runs: from `plan`, each once.
        output: folder of the sweep.
        train: fine-tunes in a training folder, which may hold a run that was cut short.
        judge: evaluates a checkpoint folder.
        keep_models: whether checkpoints of finished runs stay.
        jobs: trainings at a time.
        stop: asks the trainings at work to save and leave.
    """

    def kept(run: TransferRun, trained: Trained) -> TransferRecord:
        record = _recorded(run, output, trained, judge)
        _tidy(training_folder(output, run), keep_models)
        return record

    yield from run_all(
        runs,
        find_done(runs, output),
        lambda run: train(run, training_folder(output, run)),
        kept,
        jobs=jobs,
        stop=stop,
    )


def record_path(output: Path, run: TransferRun) -> Path:
    """Where the record of a run lies."""
    return output / "records" / f"{run.name}.json"


def task_for(card: CorpusCard, known: dict[str, Task], asked: str | None) -> Task:
    """The test of a corpus: its zero-shot or downstream task, else its card's own window.

    Args:
        card: of the corpus.
        known: all tasks.
        asked: name of one, or None.

    Raises:
        UserError: no such task, or one that is not a forecast of this corpus with an error.
    """
    if asked is not None:
        task = known.get(asked)
        if task is None or task.corpus != card.name or task.kind == "routing":
            raise UserError(f"task {asked!r}: not a forecast of {card.name}; see foundation tasks")
        if task.higher_is_better:
            raise UserError(f"task {asked}: its headline {task.headline} is not an error")
        return task.as_forecast
    for group in ("zero_shot", "downstream", "steady", "steady_shift"):
        if f"{group}_{card.name}" in known:
            return known[f"{group}_{card.name}"]
    return task_of_card(card)


def _choosing(run: RunConfig, manifest: Manifest) -> str | None:
    """Fingerprint of the split by which the weights are chosen, if they are."""
    if not run.validation.keep_best:
        return None
    return run.validated(manifest)[0].fingerprint


def _recorded(run: TransferRun, output: Path, trained: Trained, judge: Judge) -> TransferRecord:
    folder = training_folder(output, run)
    record, samples = judge(run, trained.model)
    about = read_config(trained.model)[1]
    facts = TransferFacts(
        identity=run.identity,
        source=run.source,
        checkpoint=run.terms.checkpoint,
        checkpoint_sha256=run.checkpoint_sha256,
        corpus=run.corpus,
        trajectories=run.trajectories,
        seed=run.seed,
        recipe=run.terms.recipe,
        overrides=run.terms.overrides,
        router=run.tuning.router,
        steps=about["steps"],
        samples=about["samples"],
        train_fingerprint=run.train_fingerprint,
        train_seconds=trained.seconds,
        validation_error=validation_error(folder, about.get("best_step", about["steps"])),
    )
    save_results(folder / "results.json", [(record, samples)])
    done = TransferRecord(transfer=facts, record=record)
    write_json(record_path(output, run), done)
    return done


def _tidy(folder: Path, keep_model: bool) -> None:
    """Remove what only a run that is cut short needs: several times the model's size."""
    for name in ("checkpoints", "best", *(() if keep_model else ("model",))):
        shutil.rmtree(folder / name, ignore_errors=True)
