"""What the launchers of training share: a job and its options in, a training folder out.

Everything about a run but its job is the same for pre-training and fine-tuning.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from data_shards.errors import UserError
from data_shards.memory import keep_freed_memory
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import notes_on, read_manifest
from data_shards.shards.part import few, hold_out, reconstructed
from data_shards.shards.verify import check_checksums
from data_shards.stream.mixture import MixtureConfig
from data_shards.stream.shared import check_shared_memory
from data_shards.stream.stream import SampleStream, StreamConfig
from evaluation.harness.validation import Validator
from foundation.checkpoint.folder import load_folder, save_folder
from foundation.checkpoint.saved import Checkpoint
from foundation.checkpoint.store import CheckpointStore
from foundation.nn.compiled import compile_network
from foundation.nn.device import compute_deterministically
from foundation.nn.stacked import has_stacks
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.engine import (
    build_engine,
    is_bf16,
    resolve_deepspeed_config,
    zero_stage,
)
from foundation.parallel.gather import gather_weights
from foundation.parallel.launch import join_ranks, leave_ranks, threads_of_rank
from foundation.parallel.layout import Layout, read_deepspeed_config
from foundation.parallel.pulse import Pulse
from foundation.train.best import BestWeights
from foundation.train.config import RunConfig
from foundation.train.freeze import freeze_routers
from foundation.train.one_writer import only_writer
from foundation.train.report import Reporter
from foundation.train.room import check_room
from foundation.train.run_folder import (
    Job,
    Launch,
    about_of,
    accepted_shards,
    check_output,
    check_unused,
    newest_to_resume,
    validation_error,
    write_run,
)
from foundation.train.scales import with_scales
from foundation.train.schedule import come_down
from foundation.train.stop import StopRequest, listening
from foundation.train.tokenizer import with_tokenizer
from foundation.train.trainer import DivergedError, NonFiniteLossError, Position, Trainer
from launchers.console.arguments import (
    DEFAULT_DEEPSPEED_CONFIG,
    add_shards_option,
    minutes,
)
from launchers.console.exit_codes import guarded
from launchers.training.endings import told
from launchers.training.fingerprints import add_fingerprints

_MOST_WORKERS, _AHEAD_BYTES = 4, 1 << 30  # of a rank on a GPU
# Of a process group: `Pulse` ends a hung job long before, and lets the first rank verify shards.
_NO_TIMEOUT = timedelta(days=2)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Options that every launcher of training has."""
    add_shards_option(parser, "what to learn from")
    parser.add_argument("--output", required=True, type=Path, help="training folder to write")
    parser.add_argument(
        "--ep-size", type=int, default=1, help="ranks that share one set of experts (default 1)"
    )
    parser.add_argument(
        "--deepspeed-config",
        type=Path,
        default=DEFAULT_DEEPSPEED_CONFIG,
        help="JSON file, see ds_configs/README.md (default zero1_fp32.json)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the newest checkpoint in --output"
    )
    parser.add_argument(
        "--accept-shards",
        action="store_true",
        help="with --resume: go on though the shards' content was mended; config.yaml records it",
    )
    parser.add_argument(
        "--skip-checksums", action="store_true", help="trust the shards' contents, check sizes only"
    )
    parser.add_argument(
        "--hung-after",
        type=minutes,
        default=10.0,
        metavar="MINUTES",
        help="end the job, and name the rank, if one gives no sign of life, or none gets on, for "
        "so long (default 10)",
    )
    parser.add_argument("--local-rank", type=int, help="set by the deepspeed launcher")
    parser.add_argument(
        "overrides", nargs="*", metavar="key.path=value", help="as in steps=100 optimiser.lr=3e-4"
    )


def launch(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    job_of: Callable[[argparse.Namespace], Job],
) -> int:
    """Entry point; exit codes as those of `foundation`, 1 for a non-finite loss."""
    # DeepSpeed calls names that torch has renamed; nothing a user could change.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    options = parser.parse_intermixed_args(arguments)
    quiet = int(os.environ.get("LOCAL_RANK", "0")) > 0
    with listening():
        return guarded(lambda: told(lambda: _run(job_of, options)), quiet=quiet)


def _run(job_of: Callable[[argparse.Namespace], Job], options: argparse.Namespace) -> int:
    check_unused(options.output, options.resume)  # before anything is fetched from elsewhere
    job = job_of(options)
    if job.run.tokenizer is not None:
        job = with_tokenizer(job)
    run = job.run
    world = int(os.environ.get("WORLD_SIZE", "1"))
    run.check_ranks(world, options.ep_size)
    deepspeed_config = resolve_deepspeed_config(
        read_deepspeed_config(options.deepspeed_config), run.step_on(world)
    )
    check_room(options.output, run.model)
    splits = (run.data.split, run.validation.split)
    shards = find_shards(options.shards, product(run.data.corpora, splits))
    corpora, held_out = _open_corpora(run, shards)
    if run.scales == "measured":
        job = replace(job, run=with_scales(run, corpora))
        run = job.run
    stream = _stream(run, corpora)
    validator = _validator(run, held_out or _validation_corpora(run, shards), world)
    prints = {corpus.name: corpus.fingerprint for corpus in stream.corpora}
    meaning = {corpus.name: corpus.entry.meaning for corpus in stream.corpora}
    fits = partial(
        check_output, options.output, job, prints, options.resume, options.accept_shards, meaning
    )
    fits()
    with Pulse(60 * options.hung_after) as pulse:
        if int(os.environ.get("RANK", "0")) > 0:
            pulse.at("waits for the others")
            return _work(job, options, deepspeed_config, stream, validator, pulse)
        with only_writer(options.output):
            fits()  # another may just have left
            if not options.skip_checksums:
                check_checksums(stream.corpora, partial(pulse.at, "verifies shards"))
            pulse.at("waits for the others")
            return _work(job, options, deepspeed_config, stream, validator, pulse)


def _work(
    job: Job,
    options: argparse.Namespace,
    deepspeed_config: dict[str, Any],
    stream: SampleStream,
    validator: Validator | None,
    pulse: Pulse,
) -> int:
    """Train what was found fit for the folder; collective."""
    run = job.run
    if run.deterministic:
        compute_deterministically()
    ranks = join_ranks(_NO_TIMEOUT)
    pulse.at("prepares")
    if run.keep_freed_memory and ranks.device.type == "cpu":
        keep_freed_memory()
    store = CheckpointStore(options.output / "checkpoints", run.checkpoint.keep)
    newest = _newest(store.folder, run) if options.resume else None
    model = job.network(run.model)
    if run.frozen_routers:
        freeze_routers(model)
    model.recompute_blocks = run.recompute
    model.fields_wanted = run.loss.wants_fields
    layout = Layout(
        world=ranks.world,
        ep_size=options.ep_size,
        zero_stage=zero_stage(deepspeed_config),
        bf16=is_bf16(deepspeed_config),
        experts="stacked" if has_stacks(model) else "apart",
    )
    if run.compile:
        compile_network(model, "default" if run.compile is True else run.compile)
        if ranks.is_first:
            print("compile: the first step takes a minute or two", file=sys.stderr)
            if run.compile == "reduce-overhead" and ranks.device.type != "cuda":
                print("compile: CUDA graphs are made on a GPU only", file=sys.stderr)
    pulse.at("builds the engine")
    engine = build_engine(model, deepspeed_config, options.ep_size)
    pulse.at("reads the newest checkpoint")
    validate = validator and partial(
        validator,
        rank=ranks.rank,
        world=ranks.world,
        sum_over_ranks=sum_over_ranks,
        watch=partial(pulse.at, "validates"),
    )
    best = _best(options, run)
    trainer = Trainer(run, ranks, layout, engine, stream, store, validate, best)
    trainer.at = pulse.at
    if newest is not None:
        tag, saved = newest
        store.load(engine, tag, saved, layout)
        trainer.position = Position(saved.step, saved.samples)
    if ranks.is_first:
        prints = {corpus.name: corpus.fingerprint for corpus in stream.corpora}
        launched = Launch(
            shards=options.shards,
            shards_sha256=prints,
            ep_size=options.ep_size,
            deepspeed_config=str(options.deepspeed_config),
            world=ranks.world,
            shards_meaning={corpus.name: corpus.entry.meaning for corpus in stream.corpora},
            shards_statistics=_statistics(stream.corpora),
            accepted_shards=accepted_shards(options.output, prints, trainer.position.step),
        )
        write_run(options.output, job, launched)
        for note in (note for corpus in stream.corpora for note in notes_on(corpus.entry)):
            print(note, file=sys.stderr)
    code = _train(trainer, job, options.output, _statistics(stream.corpora))
    # Only on the way out of success: after an exception, leaving would wait for other ranks.
    leave_ranks()
    return code


def _statistics(corpora: Sequence[ShardedCorpus]) -> dict[str, Any]:
    """Name, mean and deviation of every channel, by corpus."""
    return {
        corpus.name: [
            channel.model_dump(include={"name", "mean", "std"})
            for channel in corpus.entry.statistics
        ]
        for corpus in corpora
    }


def _train(trainer: Trainer, job: Job, output: Path, statistics: dict[str, Any]) -> int:
    run, ranks, start = trainer.run, trainer.ranks, trainer.position.step
    reporter = Reporter(output, run.data.corpora, start, run.steps) if ranks.is_first else None
    try:
        finished = trainer.train(reporter, StopRequest())
    except NonFiniteLossError as error:
        if reporter:
            diverged = isinstance(error, DivergedError)
            reporter.stopped(trainer.position.step + 1, str(error), diverged)
        return 1
    finally:
        if reporter:
            reporter.close()
    trainer.at("writes the weights")
    weights = _final_weights(trainer) if finished else None
    if weights is not None:
        position = trainer.position
        about = about_of(job.origin, run, position.step, position.samples, statistics)
        if trainer.best is not None and trainer.best.found:
            about["best_step"] = trainer.best.step
            print(_gain(output, trainer.best), file=sys.stderr)
        elif trainer.best is not None:
            print("no validation error was a number: the last weights are kept", file=sys.stderr)
        save_folder(output / "model", run.model, weights, about)
        trainer.at("tells where the routers send the corpora")
        add_fingerprints(output / "model", trainer.stream.corpora, ranks.device)
        print(f"checkpoint: {output / 'model'}", file=sys.stderr)
    if not finished and ranks.is_first:
        print(
            f"stopped at step {trainer.position.step} of {run.steps}, saved; go on with --resume",
            file=sys.stderr,
        )
    return 0


def _gain(output: Path, best: BestWeights) -> str:
    """What of a run with early stopping people want to know first."""
    line = f"best weights: those of step {best.step}"
    before = validation_error(output, 0)
    if before is None:
        return line
    if best.step == 0:
        return f"{line}: nothing was gained, the frames held out err by {before:.3g} as before"
    return f"{line}: the frames held out err by {best.error:.3g}, by {before:.3g} before"


def _final_weights(trainer: Trainer) -> dict[str, Tensor] | None:
    """On the first rank: the last weights, or the best where validation decides; collective."""
    best = trainer.best
    if best is None or not best.found:
        return gather_weights(trainer.engine)
    return load_folder(best.folder)[0].state_dict() if trainer.ranks.is_first else None


def _best(options: argparse.Namespace, run: RunConfig) -> BestWeights | None:
    if not run.validation_decides:
        return None
    stopping = run.early_stopping
    patience = stopping.patience * run.validation.every if stopping else None
    until = come_down(run.schedule, run.steps)
    return BestWeights(options.output / "best", run.model, patience, options.resume, until)


def _open_corpora(run: RunConfig, shards: Path) -> tuple[list[ShardedCorpus], list[ShardedCorpus]]:
    """What is trained on, and the ends of the same trajectories that are held out, if any."""
    data, stopping = run.data, run.early_stopping
    corpora = [_opened(run, shards, name, data.split) for name in data.corpora]
    if data.limit is not None:
        corpora = [few(corpus, data.limit, run.seed) for corpus in corpora]
    if stopping is None:
        return corpora, []
    parts = [hold_out(corpus, stopping.held_out, run.model.context_frames) for corpus in corpora]
    return [seen for seen, _ in parts], [held for _, held in parts]


def _stream(run: RunConfig, corpora: Sequence[ShardedCorpus]) -> SampleStream:
    config = StreamConfig(
        mixture=MixtureConfig(weights=run.data.weights, seed=run.seed),
        context_frames=run.model.context_frames,
        target_frames=run.model.out_frames,
        unlabelled=run.data.unlabelled,
        workers=_workers() if run.data.workers is None else run.data.workers,
    )
    return SampleStream(corpora, config, run.model.layout)


def _workers() -> int:
    """Processes that decode ahead where nobody says: next to a GPU what cores and memory let."""
    if not torch.cuda.is_available():
        return 0
    local_world = int(os.environ.get("LOCAL_SIZE", os.environ.get("WORLD_SIZE", "1")))
    try:
        check_shared_memory(local_world * _AHEAD_BYTES)
    except UserError:
        return 0
    return min(_MOST_WORKERS, threads_of_rank(local_world))


def _validation_corpora(run: RunConfig, shards: Path) -> list[ShardedCorpus]:
    """Those that have the split for it."""
    there = run.validated(read_manifest(shards))
    return [_opened(run, shards, entry.corpus, entry.split) for entry in there]


def _opened(run: RunConfig, shards: Path, name: str, split: str) -> ShardedCorpus:
    corpus = ShardedCorpus.open(shards, name, split)
    return reconstructed(corpus) if run.model.reconstructs else corpus


def _validator(run: RunConfig, corpora: Sequence[ShardedCorpus], world: int) -> Validator | None:
    """In-loop validation: of every held-out frame, or of short rollouts."""
    if not corpora:
        return None
    stopping = run.early_stopping
    return Validator(
        corpora,
        run.model.layout,
        run.model.context_frames,
        stopping.held_out if stopping else run.validation.horizon,
        run.validation.limit,
        batch_size=run.step_on(world).micro_batch,
        learnt=run.data.corpora,
    )


def _newest(checkpoints: Path, run: RunConfig) -> tuple[str, Checkpoint] | None:
    """The checkpoint to go on from: the first rank looks, all ranks take its word; collective."""
    found: list[Any] = [None]
    if dist.get_rank() == 0:
        try:
            found = [newest_to_resume(checkpoints, run)]
        except UserError as error:
            found = [error]
    dist.broadcast_object_list(found)
    if isinstance(found[0], UserError):
        raise found[0]
    newest: tuple[str, Checkpoint] | None = found[0]
    return newest
