"""What `foundation evaluate` does: judge every target on every task, the first rank speaking."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from data_shards.card import Split
from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Manifest, notes_on, read_manifest
from data_shards.shards.verify import check_checksums
from evaluation.harness.evaluation import Evaluation, silent, without_progress
from evaluation.harness.forecaster import FLOOR_PREFIX, Forecaster, open_forecaster
from evaluation.harness.members import ensemble_of
from evaluation.harness.other_grids import on_data_grid
from evaluation.harness.protocol import under
from evaluation.harness.ranks import Ranks, joined_ranks
from evaluation.harness.resume import read_judged
from evaluation.harness.runner import RunSettings
from evaluation.records.record import Record, predictions_path, samples_path
from evaluation.records.results import check_writable
from evaluation.records.table import result_table
from evaluation.routing.task_file import load_routing_tasks
from evaluation.tasks.task import Task, load_tasks, select_tasks, task_of_card
from launchers.console.device import usable_device
from launchers.console.progress import say

_ENSEMBLE = "ensemble:"


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    with joined_ranks() as ranks:
        try:
            _evaluate(options, ranks)
        except UserError:
            if ranks.is_first:
                raise
            raise SystemExit(2) from None  # the first rank says it for all


def _evaluate(options: argparse.Namespace, ranks: Ranks) -> None:
    check_writable(options.output, options.overwrite or options.resume)
    judged = [] if options.overwrite else read_judged(options.output)
    tasks = _tasks(options, ranks)
    evaluation_run = _open(options, tasks, ranks)
    evaluation_run.check()  # all faults of a user are found before the first forecast
    if ranks.is_first:
        splits = evaluation_run.splits_to_read(judged)
        check_checksums(splits)
        for note in (note for corpus in splits for note in notes_on(corpus.entry)):
            say(note)
    ranks.wait()
    watch, tell = (_watch, say) if ranks.is_first else (without_progress, silent)
    records = evaluation_run.run(judged, ranks, watch, tell)
    if ranks.is_first:
        _report(options, records)


def _tasks(options: argparse.Namespace, ranks: Ranks) -> list[Task]:
    """Tasks asked for; those that only a group names are left out where they have no shards."""
    asked = _split(options.tasks)
    _check_not_routing(asked, options.include)
    manifest = read_manifest(find_shards(options.shards))
    known = _own_tasks(manifest) | load_tasks(options.include)
    selected = select_tasks(asked, known)
    _check_forecasts(selected)
    kept = []
    for task in selected:
        missing = [each for each in _splits_of(task) if manifest.find(*each) is None]
        if task.name in asked or not missing:
            kept.append(task)
        elif ranks.is_first:
            corpus, split = missing[0]
            say(f"left out: {task.name}: no {split} shards of {corpus}")
    if not kept:
        corpora = sorted({task.corpus for task in selected})
        raise UserError(
            f"{options.shards}: no shards for any task of {options.tasks}; generate "
            f"{', '.join(corpora)} first"
        )
    return kept


def _splits_of(task: Task) -> list[tuple[str, Split]]:
    """What a task is judged on, and what its bands are calibrated on."""
    return [(task.corpus, task.split), *([] if task.calibration is None else [task.calibration])]


def _own_tasks(manifest: Manifest) -> dict[str, Task]:
    """A test of every corpus of the shards by its card, such as `zero_shot_custom` of own files;
    written tasks of the same name come before it."""
    cards = {entry.corpus: entry.card for entry in manifest.entries if entry.card.asked_frames}
    return {task.name: task for task in map(task_of_card, cards.values())}


def _check_not_routing(asked: Sequence[str], include: Path | None) -> None:
    """Point from a routing task or group to the verb that looks at routers."""
    for name, task in load_routing_tasks(include).items():
        if other := {name, *task.groups}.intersection(asked):
            raise UserError(
                f"task {sorted(other)[0]}: foundation evaluate judges forecasts; look at routers "
                f"with `foundation routing CHECKPOINT --task {name}`"
            )


def _check_forecasts(selected: Sequence[Task]) -> None:
    """Point from few-shot tasks to the verb that learns first."""
    learnt = [task.name for task in selected if task.kind == "few_shot"]
    if learnt:
        raise UserError(
            f"task {', '.join(learnt)}: foundation evaluate judges a checkpoint as it is; learn "
            f"and judge with `foundation transfer CHECKPOINT --task {learnt[0]}`"
        )


def _open(options: argparse.Namespace, tasks: Sequence[Task], ranks: Ranks) -> Evaluation:
    splits = sorted({split for task in tasks for split in _splits_of(task)})
    shards = find_shards(options.shards, splits)
    opened = {split: ShardedCorpus.open(shards, *split) for split in splits}
    corpora = {task.name: opened[task.corpus, task.split] for task in tasks}
    known = {task.name: opened[task.calibration] for task in tasks if task.calibration is not None}
    device = _device(options.device, ranks)
    settings = RunSettings(
        batch_size=options.batch_size,
        limit=options.limit,
        device=str(device),
        predictions=options.save_predictions,
    )
    names = _names(options.targets, options.name)
    forecasters = [
        _forecaster(options, target, device, name)
        for target, name in zip(options.targets, names, strict=True)
    ]
    for forecaster in forecasters if ranks.is_first and not options.protocol else ():
        if forecaster.protocol:
            say(
                f"{forecaster.facts.name}: judged by protocol {forecaster.protocol}, as its "
                "authors judge; --protocol own judges it as all others"
            )
    pairs = [
        (forecaster, under(task, options.protocol or forecaster.protocol))
        for forecaster in forecasters
        for task in tasks
    ]
    return Evaluation(options.output, settings, corpora, pairs, known)


def _forecaster(
    options: argparse.Namespace, target: str, device: torch.device, name: str | None
) -> Forecaster:
    """A target as it is, or as an ensemble."""
    parts = target.removeprefix(_ENSEMBLE).split(",") if target.startswith(_ENSEMBLE) else [target]
    if len(parts) == 1 and (options.members is None or target.startswith(FLOOR_PREFIX)):
        opened_one = open_forecaster(parts[0], device, name)
        if options.grid == "model" or opened_one.facts.floor:
            return opened_one
        return on_data_grid(opened_one, options.grid)
    if options.grid != "model":
        raise UserError(f"--grid {options.grid}: of ensembles only --grid model is judged")
    opened = [open_forecaster(part, device) for part in parts]
    count = options.members or len(parts)
    return ensemble_of(opened, count, options.noise, options.seed, name)


def _device(name: str | None, ranks: Ranks) -> torch.device:
    """The device asked for; by default every rank has a GPU of its own."""
    if name is None and ranks.world > 1 and torch.cuda.is_available():
        name = f"cuda:{ranks.local_rank}"
    return usable_device(name)


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _names(targets: Sequence[str], names: Sequence[str] | None) -> list[str | None]:
    if names is None:
        return [None] * len(targets)
    if len(names) != len(targets):
        raise UserError(
            f"--name came {len(names)} times for {len(targets)} targets; give it once per target"
        )
    return list(names)


@contextmanager
def _watch(label: str, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, a line at the end elsewhere."""
    with tqdm(total=total, desc=label, unit="sample", disable=not sys.stderr.isatty()) as bar:
        began = time.monotonic()
        yield bar.update
    if not sys.stderr.isatty():
        say(f"{label}: {total} samples, {time.monotonic() - began:.1f} s")


def _report(options: argparse.Namespace, records: Sequence[Record]) -> None:
    if options.json:
        print(options.output.read_text(), end="")
        return
    print(result_table(records))
    print(f"\nresults: {options.output}\nper sample: {samples_path(options.output)}")
    if options.save_predictions:
        first = records[0]
        print(f"predictions: {predictions_path(options.output, first.model, first.task).parent}")
