"""What `foundation routing` does: route windows of every corpus, then tell corpora apart."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from data_shards.atomic import replace_file
from data_shards.catalogue import expand
from data_shards.errors import UserError, unknown_name
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Manifest, read_manifest
from data_shards.shards.verify import check_checksums
from evaluation.records.results import check_writable
from evaluation.routing.figures import figures_of
from evaluation.routing.fingerprints import save_fingerprints
from evaluation.routing.record import RoutingRecord, SplitName, splits_of
from evaluation.routing.results import Judged, routes_path, save_routing
from evaluation.routing.run_checkpoints import open_run
from evaluation.routing.runner import (
    RoutedModel,
    RoutingSettings,
    open_routed,
    plan_windows,
    run_routing,
    untrained_twin,
)
from evaluation.routing.table import routing_report
from evaluation.routing.task import RoutingTask
from evaluation.routing.task_file import RoutingTaskFile, load_routing_tasks
from launchers.console.device import usable_device
from launchers.console.progress import say


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    check_writable(options.output, options.overwrite)
    device = usable_device(options.device)
    manifest = read_manifest(find_shards(options.shards))
    models = [
        model
        for target, name in zip(options.checkpoints, _names(options), strict=True)
        for model in _opened(options, target, device, name)
    ]
    if options.save_fingerprints:
        _check_folders(options.checkpoints)
    task = _task(options, manifest, models)
    splits = splits_of(task)
    shards = find_shards(options.shards, splits)
    corpora = {split: ShardedCorpus.open(shards, *split) for split in splits}
    # All faults of a user are found before the first forward, not after hours of them.
    plans = [plan_windows(model, task, corpora) for model in models]
    check_checksums(corpora.values())
    if options.untrained:
        models.append(untrained_twin(models[0], task.seed))
        plans.append(plans[0])
    settings = RoutingSettings(batch_size=options.batch_size, device=str(device))
    judged: list[Judged] = []
    for model, plan in zip(models, plans, strict=True):
        total = sum(map(len, plan.values()))
        judged.append(_judge(model, task, corpora, settings, total))
        save_routing(options.output, judged)  # a crash later on loses no finished checkpoint
    records = [record for record, _ in judged]
    if options.save_fingerprints:
        for folder, record in zip(options.checkpoints, records, strict=False):  # but no floor
            say(f"fingerprints: {save_fingerprints(record.fingerprints, Path(folder))}")
    _report(options, records)


def _opened(
    options: argparse.Namespace, target: str, device: torch.device, name: str | None
) -> list[RoutedModel]:
    if not options.all_checkpoints:
        return [open_routed(target, device, name)]
    if options.save_fingerprints:
        raise UserError(
            "--save-fingerprints writes into checkpoint folders, which --all-checkpoints has none "
            "of; leave one of them out"
        )
    return open_run(Path(target), device, name)


def _judge(
    model: RoutedModel,
    task: RoutingTask,
    corpora: dict[SplitName, ShardedCorpus],
    settings: RoutingSettings,
    total: int,
) -> Judged:
    label = model.facts.name
    with tqdm(total=total, desc=label, unit="window", disable=not sys.stderr.isatty()) as bar:
        judged = run_routing(model, task, corpora, settings, bar.update)
    if not sys.stderr.isatty():
        say(f"{label}: {total} windows, {judged[0].seconds:.1f} s")
    return judged


def _task(
    options: argparse.Namespace, manifest: Manifest, models: Sequence[RoutedModel]
) -> RoutingTask:
    """Terms of the task file, if one is named, and of the options that were given."""
    terms: dict[str, Any] = {}
    if options.task is not None:
        terms = _named(options).terms.model_dump()
    terms |= {
        name: value
        for name, value in vars(options).items()
        if name in RoutingTask.model_fields and value is not None
    }
    if options.unseen is not None:
        terms["unseen"] = tuple(_expanded(options.unseen, manifest))
    if options.corpora is not None:
        terms["corpora"] = tuple(_expanded(options.corpora, manifest))
    elif options.task is None:
        unseen = terms.get("unseen", ())
        terms["corpora"] = tuple(c for c in _trained_on(models, manifest) if c not in unseen)
    if options.temperature not in (None, "evaluation"):
        terms["temperature"] = _number(options.temperature)
    return RoutingTask.read(terms, "routing task")


def _named(options: argparse.Namespace) -> RoutingTaskFile:
    known = load_routing_tasks(options.include)
    if options.task not in known:
        raise unknown_name("routing task", options.task, known)
    return known[options.task]


def _trained_on(models: Sequence[RoutedModel], manifest: Manifest) -> list[str]:
    """Corpora that the checkpoints say they were trained on; all shards' if none says."""
    named = {tuple(model.model.about.get("corpora", ())) for model in models}
    if len(named) > 1:
        raise UserError(
            "the checkpoints were trained on different corpora; name those to look at by --corpora"
        )
    return list(named.pop()) or list(dict.fromkeys(entry.corpus for entry in manifest.entries))


def _expanded(text: str, manifest: Manifest) -> list[str]:
    """Corpora by their own names in the shards, and those of groups and ladders."""
    there = {entry.corpus for entry in manifest.entries}
    names = [name.strip() for name in text.split(",") if name.strip()]
    corpora = []
    for name in names:
        if name in there:
            corpora.append(name)
        elif (group := _members(name)) is not None:
            corpora += group
        else:
            raise unknown_name("corpus", name, there)
    return list(dict.fromkeys(corpora))


def _members(name: str) -> list[str] | None:
    """Corpora that the name of a group or ladder stands for; None if it is neither."""
    try:
        return expand([name])
    except UserError:
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--temperature {text}: wanted a number or `evaluation`") from None


def _names(options: argparse.Namespace) -> list[str | None]:
    names, count = options.name, len(options.checkpoints)
    if names is None:
        return [None] * count
    if len(names) != count:
        raise UserError(
            f"--name came {len(names)} times for {count} checkpoints; give it once for each"
        )
    return list(names)


def _check_folders(checkpoints: Sequence[str]) -> None:
    for target in checkpoints:
        if not Path(target).is_dir():
            raise UserError(
                f"{target}: not a folder here, so fingerprints cannot be saved into it; leave "
                "--save-fingerprints out, or download it first"
            )


def _report(options: argparse.Namespace, records: Sequence[RoutingRecord]) -> None:
    drawn = _draw(options.figures, records) if options.figures else []
    if options.json:
        print(options.output.read_text(), end="")
        return
    print(routing_report(records))
    print(f"\nresults: {options.output}\nroutes: {routes_path(options.output)}")
    for path in drawn:
        print(f"figure: {path}")


def _draw(folder: Path, records: Sequence[RoutingRecord]) -> list[Path]:
    """One file for every figure of a run."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in figures_of(records).items():
            path = folder / f"{name.replace('/', '_')}.svg"
            replace_file(path, f"{text}\n".encode())
            paths.append(path)
    except OSError as error:
        raise UserError(f"{folder}: figures could not be written ({error})") from None
    return paths
