"""What `foundation breakeven` does: time forecasts and solves, count what repays a training."""

import argparse
import sys
from datetime import UTC, datetime

from tqdm import tqdm

from data_shards.atomic import replace_file
from data_shards.card import Split
from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from evaluation.breakeven.measure import Compared, measured, number_of_runs
from evaluation.breakeven.record import BreakEven
from evaluation.breakeven.table import breakeven_table
from evaluation.breakeven.training import Terms, training_cost
from evaluation.harness.forecaster import open_forecaster
from evaluation.records.provenance import git_commit, this_machine
from evaluation.records.results import check_writable
from evaluation.tasks.task import Task
from foundation.train.run_folder import model_of
from launchers.console.device import usable_device


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    check_writable(options.output, options.overwrite)
    model = model_of(options.folder)
    if model is None:
        raise UserError(f"{options.folder}: no training folder with a finished model/ in it")
    device = usable_device(options.device)
    forecaster = open_forecaster(str(model), device, options.folder.name)
    shards = find_shards(options.shards)
    manifest = read_manifest(shards)

    def opened(corpus: str, split: Split) -> ShardedCorpus:
        if manifest.find(corpus, split) is None:
            raise UserError(f"{options.shards}: no {split} shards of {corpus}; generate them")
        return ShardedCorpus.open(shards, corpus, split)

    corpora = _corpora(options, forecaster.learnt)
    compared = [_compared(name, opened(name, "test"), options.trajectories) for name in corpora]
    terms = Terms(options.rank_price, options.trials, options.trajectories)
    training = training_cost(options.folder, opened, terms)
    base = None if options.base is None else training_cost(options.base, opened, terms)
    runs = sum(number_of_runs(each) for each in compared)
    price = options.rank_price if device.type != "cpu" else 1.0
    with tqdm(total=runs, unit="run", disable=not sys.stderr.isatty()) as bar:
        costs = tuple(measured(forecaster, each, device, price, bar.update) for each in compared)
    found = BreakEven(
        model=forecaster.facts.name,
        fingerprint=forecaster.facts.fingerprint,
        training=training,
        base=base,
        rank_price=options.rank_price,
        costs=costs,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=git_commit(),
        machine=this_machine(device),
    )
    text = f"{found.model_dump_json(indent=1)}\n"
    replace_file(options.output, text.encode())
    print(text if options.json else f"{breakeven_table(found)}\n\nrecord: {options.output}")


def _corpora(options: argparse.Namespace, learnt: tuple[str, ...]) -> list[str]:
    """Corpora to compare on."""
    if options.corpora is None:
        return list(learnt)
    return list(dict.fromkeys(name.strip() for name in options.corpora.split(",") if name.strip()))


def _compared(name: str, corpus: ShardedCorpus, trajectories: int) -> Compared:
    """The corpus's own protocol, from its first frames."""
    task = Task(
        name=f"breakeven_{name}",
        version=1,
        description="as far as the corpus asks",
        corpus=name,
        context_frames=corpus.card.context_frames,
        rollout_frames=corpus.card.asked_frames,
    )
    return Compared(task, corpus, min(trajectories, corpus.num_trajectories))
