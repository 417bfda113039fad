"""`foundation evaluate`: checkpoints and floors in, a results file and a table out."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from data_shards.corpus import ShardedCorpus
from data_shards.errors import UserError
from data_shards.verify import check_checksums
from evaluation.forecaster import Forecaster, open_forecaster
from evaluation.record import Record, samples_path
from evaluation.results import check_writable, save_results
from evaluation.runner import RunSettings, check_judgeable, number_of_samples, run_task
from evaluation.samples import SampleValues
from evaluation.table import result_table
from evaluation.task import Task, load_tasks, select_tasks
from launchers.arguments import positive
from launchers.verbs import SUMMARIES

_EXAMPLE = """example:
  foundation evaluate runs/tiny/model floor:persistence floor:context_mean \\
      --shards shards/ --tasks zero_shot --output records/tiny.json

Per-sample values go beside the results, to records/tiny.samples.npz. Both are saved after
every task of every checkpoint.
"""


def add_verb(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `evaluate` to the console."""
    parser = subparsers.add_parser(
        "evaluate",
        help=SUMMARIES["evaluate"],
        description="Score checkpoints and floors on the test trajectories of a folder of shards.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "targets",
        nargs="+",
        metavar="CHECKPOINT|floor:NAME",
        help="checkpoint folders; floor:persistence and floor:context_mean need no checkpoint",
    )
    parser.add_argument("--shards", type=Path, required=True, metavar="DIR", help="test shards")
    parser.add_argument(
        "--tasks",
        required=True,
        metavar="T[,T]|GROUP",
        help="tasks and groups, by comma: zero_shot, zero_shot_pdebench_swe, ...",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.json", help="results file to write"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N trajectories")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="B", help="default 8")
    parser.add_argument(
        "--name",
        action="append",
        metavar="NAME",
        help="name on leaderboards, once per target and in their order; folder names by default",
    )
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    parser.add_argument("--device", help="cpu, cuda, cuda:1; the first GPU by default, if any")
    parser.add_argument("--json", action="store_true", help="print the records instead of a table")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    tasks = select_tasks(_split(options.tasks), load_tasks(options.include))
    check_writable(options.output, options.overwrite)
    corpora = {
        task.name: ShardedCorpus.open(options.shards, task.corpus, task.split) for task in tasks
    }
    device = _device(options.device)
    settings = RunSettings(batch_size=options.batch_size, limit=options.limit, device=str(device))
    names = _names(options.targets, options.name)
    forecasters = [
        open_forecaster(target, device, name)
        for target, name in zip(options.targets, names, strict=True)
    ]
    # All faults of a user are found before the first forecast, not after hours of them.
    pairs = [(forecaster, task) for forecaster in forecasters for task in tasks]
    for forecaster, task in pairs:
        check_judgeable(forecaster, task, corpora[task.name])
    check_checksums(_each_once(corpora.values()))
    judged: list[tuple[Record, SampleValues]] = []
    for forecaster, task in pairs:
        judged.append(_judge(forecaster, task, corpora[task.name], settings))
        save_results(options.output, judged)  # a crash later on loses no finished task
    _report(options, [record for record, samples in judged])


def _each_once(corpora: Iterable[ShardedCorpus]) -> Iterable[ShardedCorpus]:
    """Splits that several tasks share need to be read but once."""
    return {(corpus.name, corpus.split): corpus for corpus in corpora}.values()


def _device(name: str | None) -> torch.device:
    """The device asked for, tried out, so that a wrong one fails before anything is loaded."""
    device = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {device}: not usable here ({reason}); try cpu") from None


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


def _judge(
    forecaster: Forecaster, task: Task, corpus: ShardedCorpus, settings: RunSettings
) -> tuple[Record, SampleValues]:
    label = f"{forecaster.facts.name} {task.name}"
    total = number_of_samples(corpus, settings)
    with tqdm(total=total, desc=label, unit="sample", disable=not sys.stderr.isatty()) as bar:
        judged = run_task(forecaster, task, corpus, settings, bar.update)
    if not sys.stderr.isatty():
        print(f"{label}: {total} samples, {judged[0].seconds:.1f} s", file=sys.stderr)
    return judged


def _report(options: argparse.Namespace, records: Sequence[Record]) -> None:
    if options.json:
        print(options.output.read_text(), end="")
        return
    print(result_table(records))
    print(f"\nresults: {options.output}\nper sample: {samples_path(options.output)}")
