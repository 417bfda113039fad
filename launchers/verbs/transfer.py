"""`foundation transfer`: a checkpoint and a corpus in, few-shot curves out.

Every run is a process of its own, `launchers.finetune`.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_shards.atomic import replace_file
from data_shards.errors import UserError, unknown_name
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.verify import check_checksums
from evaluation.harness.forecaster import open_forecaster
from evaluation.harness.judgeable import check_judgeable
from evaluation.harness.runner import RunSettings, run_task
from evaluation.records.record import Record
from evaluation.records.samples import SampleValues
from evaluation.tasks.task import Task, load_tasks
from evaluation.transfer.plots import draw_transfer
from evaluation.transfer.record import TransferRecord, summarise, write_json
from evaluation.transfer.sweep import (
    Terms,
    TransferRun,
    find_done,
    plan,
    record_path,
    sweep,
    task_for,
)
from evaluation.transfer.table import crossing_text, transfer_table
from launchers.console.arguments import (
    DEFAULT_DEEPSPEED_CONFIG,
    Subparsers,
    add_parser,
    add_shards_option,
    positive,
)
from launchers.console.device import usable_device
from launchers.console.progress import progress, say
from launchers.console.recipe_options import add_recipe_options
from launchers.training.process import TrainingFailedError, module_command, resuming, train_in
from launchers.verbs import SUMMARIES

_EXAMPLE = """examples:
  foundation transfer runs/small/model --corpus fno_ns_1e-4 --shards shards/ \\
      --sizes 16,32,64,128 --seeds 3 --output transfer/ns1e-4
  foundation transfer runs/small/model --task few_shot_wave_layer --shards shards/ \\
      --output transfer/wave
  foundation transfer runs/nano/model --corpus fno_ns_1e-4 --shards shards/ \\
      --sizes 4,8,16 --steps 200 --router free --output transfer/quick optimiser.lr=3e-4

`foundation tasks --group few_shot` lists tests that name their corpus and sizes.
Each size and seed is learnt from the checkpoint and from scratch with the same steps, windows
and optimiser, and judged on the test split. The trajectories of a size are among those of a
larger one. Records go to OUTPUT/records, curves to transfer.json and transfer.svg. The same
command goes on where it was stopped; a run is repeated only if something that decides it changed.
"""


_SIZES = (16, 32, 64, 128)


@dataclass(frozen=True)
class TrainingProcess:
    """Trains runs, each in a process of its own (or one per rank).

    Attributes:
        shards: name of the folder of the corpus.
        deepspeed_config: JSON file.
        ranks: processes of a run; DeepSpeed's launcher starts them if they are several.
        module: what is run, with the options of `launchers.finetune`.
    """

    shards: str
    deepspeed_config: Path = DEFAULT_DEEPSPEED_CONFIG
    ranks: int = 1
    module: str = "launchers.finetune"

    def __call__(self, run: TransferRun, folder: Path) -> Path:
        """Fine-tune in a folder, going on with what lies there; gives the checkpoint folder.

        Raises:
            UserError: what the process says is the user's to mend.
            TrainingFailedError: it ended in another way without a checkpoint.
        """
        return train_in(folder, self.command(run, folder), run.name)

    def command(self, run: TransferRun, folder: Path) -> list[str]:
        """The command line of a run."""
        words = [
            *module_command(self.module, self.ranks),
            *("--checkpoint", run.terms.checkpoint, "--corpus", run.corpus),
            *("--shards", self.shards, "--output", str(folder), "--skip_checksums"),
            *("--trajectories", str(run.trajectories), "--recipe", run.terms.recipe),
            *("--deepspeed_config", str(self.deepspeed_config)),
        ]
        scratch = run.source == "scratch"
        words += ["--from_scratch"] if scratch else ["--router", run.tuning.router]
        words += resuming(folder)
        tuned = run.tuning.run
        # Nobody looks at validation during a sweep, and it costs as much as training.
        rarely = [] if tuned.early_stopping else [f"validation.every={tuned.steps}"]
        return [*words, *rarely, *run.terms.overrides, f"seed={run.seed}"]


def add_verb(subparsers: Subparsers) -> None:
    """Add `transfer` to the console."""
    parser = add_parser(subparsers, "transfer", SUMMARIES["transfer"], _EXAMPLE)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint folder, or hub id")
    parser.add_argument("--corpus", metavar="NAME", help="what to learn; that of --task by default")
    add_shards_option(parser, "its training and test shards")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--sizes",
        type=_sizes,
        metavar="N[,N]",
        help="numbers of trajectories (default: those of a few-shot --task, else 16,32,64,128)",
    )
    parser.add_argument("--seeds", type=positive, default=3, metavar="K", help="default 3")
    add_recipe_options(parser, default="downstream")
    parser.add_argument("--task", metavar="T", help="test; by default the corpus's zero-shot task")
    parser.add_argument("--include", type=Path, metavar="DIR", help="folder of further task files")
    parser.add_argument("--limit", type=positive, metavar="N", help="only N test trajectories")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="B", help="default 8")
    parser.add_argument("--device", help="of the tests; the first GPU by default, if any")
    parser.add_argument("--ranks", type=positive, default=1, help="of every training (default 1)")
    parser.add_argument(
        "--deepspeed-config",
        type=Path,
        default=DEFAULT_DEEPSPEED_CONFIG,
        metavar="FILE.json",
        help="see ds_configs/README.md (default zero1_fp32.json)",
    )
    parser.add_argument("--keep-models", action="store_true", help="keep the fine-tuned weights")
    parser.add_argument("--json", action="store_true", help="print the summary instead of a table")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key.path=value", help="as in optimiser.lr=3e-4"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    device = usable_device(options.device)
    known = load_tasks(options.include)
    corpus = _corpus(options, known)
    train = _opened(options.shards, corpus, "train")
    task = task_for(train.card, known, options.task)
    test = _opened(options.shards, corpus, task.split)
    options.sizes = options.sizes or _task_sizes(options.task, known, train.num_trajectories)
    runs = plan(_terms(options), train, test, task)
    check_judgeable(open_forecaster(options.checkpoint, device), task, test)
    settings = RunSettings(
        batch_size=options.batch_size, limit=options.limit, device=str(device), pictures=False
    )

    def judge(run: TransferRun, model: Path) -> tuple[Record, SampleValues]:
        return run_task(open_forecaster(str(model), device, _name(run)), task, test, settings)

    done = find_done(runs, options.output)
    if len(done) < len(runs):
        check_checksums([train, test])
    if done:
        say(f"kept: {len(done)} of {len(runs)} runs")
    trainer = TrainingProcess(options.shards, options.deepspeed_config, options.ranks)
    finished = sweep(runs, options.output, trainer, judge, options.keep_models)
    try:
        records = _follow(finished, len(runs), set(done), options.output)
    except TrainingFailedError as error:
        say(f"stopped: {error}")
        return 1
    _report(options, task, records)
    return 0


def _opened(shards: str, corpus: str, split: str) -> ShardedCorpus:
    return ShardedCorpus.open(find_shards(shards, [(corpus, split)]), corpus, split)


def _corpus(options: argparse.Namespace, known: dict[str, Task]) -> str:
    """What is to be learnt, as said or as the task says."""
    if options.corpus is not None:
        return str(options.corpus)
    if options.task is None:
        raise UserError("nothing to learn; name it by --corpus, or a test of it by --task")
    if options.task not in known:
        raise unknown_name("task", options.task, known)
    return known[options.task].corpus


def _task_sizes(asked: str | None, known: dict[str, Task], trajectories: int) -> tuple[int, ...]:
    """Sizes of a few-shot task, as far as the shards reach; those of the verb without one."""
    sizes = known[asked].few_shot if asked is not None else ()
    if not sizes:
        return _SIZES
    kept = tuple(size for size in sizes if size <= trajectories)
    if not kept:
        raise UserError(
            f"task {asked}: learns from {min(sizes)} trajectories and more, the shards have "
            f"{trajectories}; generate more, or ask for fewer by --sizes"
        )
    if len(kept) < len(sizes):
        left = ", ".join(str(size) for size in sizes if size > trajectories)
        say(f"left out: {asked} with {left} trajectories: the shards have {trajectories}")
    return kept


def _terms(options: argparse.Namespace) -> Terms:
    length = [] if options.steps is None else [f"steps={options.steps}"]
    return Terms(
        checkpoint=options.checkpoint,
        recipe=options.recipe,
        overrides=(*length, *options.overrides),
        sizes=options.sizes,
        seeds=tuple(range(options.seeds)),
        router=options.router,
        engine=_engine(options.deepspeed_config),
        limit=options.limit,
    )


def _engine(path: Path) -> dict[str, Any]:
    """Plain values of the DeepSpeed file; what they mean is the training's to judge."""
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such DeepSpeed configuration; see ds_configs/") from None
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds {type(values).__name__}, wanted an object")
    return values


def _follow(finished: Any, total: int, kept: set[str], output: Path) -> dict[str, TransferRecord]:
    """Records by the names of their files, told one by one as they come."""
    records = {}
    for run, record in progress(finished, total=total, label="transfer", unit="run"):
        records[record_path(output, run).name] = record
        if run.identity not in kept:
            facts = record.transfer
            say(
                f"{run.source}, {run.trajectories} trajectories, seed {run.seed}: "
                f"{record.record.task.headline} {record.error:.4g} after {facts.steps} steps, "
                f"{facts.train_seconds:.0f} s"
            )
    return records


def _report(options: argparse.Namespace, task: Task, records: dict[str, TransferRecord]) -> None:
    summary = summarise(records)
    path = options.output / "transfer.json"
    write_json(path, summary)
    replace_file(options.output / "transfer.svg", draw_transfer(summary).encode())
    if options.json:
        print(path.read_text(), end="")
        return
    print(f"{task.name}, recipe {options.recipe}, routers {summary.router}\n")
    print(transfer_table(summary))
    if crossing := crossing_text(summary):
        print(f"\n{crossing}")
    print(f"\ncurves: {path}, {path.with_suffix('.svg')}")


def _name(run: TransferRun) -> str:
    started = Path(run.terms.checkpoint).resolve()
    name = started.parent.name if started.name == "model" else started.name
    source = name if run.source == "pretrained" else f"{name} from scratch"
    return f"{source}, {run.trajectories} of {run.corpus}"


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(positive(word) for word in text.split(",") if word.strip())
    if not sizes:
        raise argparse.ArgumentTypeError(f"{text!r} names no number of trajectories")
    return sizes
