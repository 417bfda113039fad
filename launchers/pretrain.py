"""Pre-train a foundation model.

    deepspeed --num_accelerators 2 launchers/pretrain.py --preset nano --ep_size 2 \\
        --shards data --output runs/nano

The same script runs on one process (`python launchers/pretrain.py`), on GPUs
and on several nodes (`deepspeed --hostfile`); see README.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch.distributed as dist
import yaml

from data_shards.config import read_yaml
from data_shards.corpus import ShardedCorpus
from data_shards.errors import UserError
from data_shards.layout import ModelLayout
from data_shards.manifest import read_manifest
from data_shards.mixture import MixtureConfig
from data_shards.stream import SampleStream, StreamConfig
from data_shards.verify import check_checksums
from evaluation.validation import Validator
from foundation.checkpoint.folder import save_folder
from foundation.checkpoint.store import Checkpoint, CheckpointStore
from foundation.models.registry import build_model
from foundation.parallel.collectives import sum_over_ranks
from foundation.parallel.engine import (
    build_engine,
    is_bf16,
    read_deepspeed_config,
    resolve_deepspeed_config,
    zero_stage,
)
from foundation.parallel.gather import gather_weights
from foundation.parallel.launch import join_ranks, leave_ranks
from foundation.parallel.layout import Layout
from foundation.train.config import RunConfig, first_difference, load_run_config, preset_names
from foundation.train.report import Reporter
from foundation.train.stop import StopRequest
from foundation.train.trainer import NonFiniteLossError, Position, Trainer
from launchers.exit_codes import guarded

DEFAULT_DEEPSPEED_CONFIG = Path(__file__).resolve().parents[1] / "ds_configs" / "zero1_fp32.json"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", required=True, help=f"one of {', '.join(preset_names())}")
    parser.add_argument("--shards", required=True, type=Path, help="folder with manifest.json")
    parser.add_argument("--output", required=True, type=Path, help="training folder to write")
    parser.add_argument(
        "--ep_size", type=int, default=1, help="ranks that share one set of experts (default 1)"
    )
    parser.add_argument(
        "--deepspeed_config",
        type=Path,
        default=DEFAULT_DEEPSPEED_CONFIG,
        help="JSON file, see ds_configs/README.md (default zero1_fp32.json)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the newest checkpoint in --output"
    )
    parser.add_argument(
        "--skip_checksums", action="store_true", help="trust the shards' contents, check sizes only"
    )
    parser.add_argument("--local_rank", type=int, help="set by the deepspeed launcher")
    parser.add_argument(
        "overrides", nargs="*", metavar="key.path=value", help="as in steps=100 optimiser.lr=3e-4"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; exit codes as those of `foundation`, 1 for a non-finite loss."""
    # DeepSpeed calls names that torch has renamed; nothing a user could mend.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    options = build_parser().parse_intermixed_args(arguments)
    return guarded(lambda: _run(options), quiet=int(os.environ.get("LOCAL_RANK", "0")) > 0)


def _run(options: argparse.Namespace) -> int:
    run = load_run_config(options.preset, options.overrides)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    run.check_ranks(world, options.ep_size)
    deepspeed_config = resolve_deepspeed_config(
        read_deepspeed_config(options.deepspeed_config), run.step_on(world)
    )
    stream = _open_stream(run, options.shards)
    validator = _validator(run, options.shards, world)
    _check_output(options.output, run, stream, options.resume)
    if int(os.environ.get("RANK", "0")) == 0 and not options.skip_checksums:
        check_checksums(stream.corpora)
    ranks = join_ranks()
    layout = Layout(
        world=world,
        ep_size=options.ep_size,
        zero_stage=zero_stage(deepspeed_config),
        bf16=is_bf16(deepspeed_config),
    )
    store = CheckpointStore(options.output / "checkpoints", run.checkpoint.keep)
    newest = _newest(store, run, options.resume)
    model = build_model(run.model, run.seed)
    model.recompute_blocks = run.recompute
    engine = build_engine(model, deepspeed_config, options.ep_size)
    validate = validator and partial(
        validator, rank=ranks.rank, world=ranks.world, sum_over_ranks=sum_over_ranks
    )
    trainer = Trainer(run, ranks, layout, engine, stream, store, validate)
    if newest is not None:
        tag, saved = newest
        store.load(engine, tag, saved, layout)
        trainer.position = Position(saved.step, saved.samples)
    if ranks.is_first:
        _write_config(options, run, stream)
    code = _train(trainer, options)
    # Only on the way out of success: after an exception, leaving would wait for other ranks.
    leave_ranks()
    return code


def _train(trainer: Trainer, options: argparse.Namespace) -> int:
    run, ranks, start = trainer.run, trainer.ranks, trainer.position.step
    reporter = (
        Reporter(options.output, run.data.corpora, start, run.steps) if ranks.is_first else None
    )
    try:
        finished = trainer.train(reporter, StopRequest())
    except NonFiniteLossError as error:
        if ranks.is_first:
            print(f"stopped: {error}", file=sys.stderr)
        return 1
    finally:
        if reporter:
            reporter.close()
    weights = gather_weights(trainer.engine) if finished else None
    if weights is not None:
        about = {
            "preset": options.preset,
            "overrides": options.overrides,
            "corpora": list(run.data.corpora),
            "steps": trainer.position.step,
            "samples": trainer.position.samples,
            "seed": run.seed,
        }
        save_folder(options.output / "model", run.model, weights, about)
        print(f"checkpoint: {options.output / 'model'}", file=sys.stderr)
    if not finished and ranks.is_first:
        print(
            f"stopped at step {trainer.position.step} of {run.steps}, saved; go on with --resume",
            file=sys.stderr,
        )
    return 0


def _open_stream(run: RunConfig, shards: Path) -> SampleStream:
    corpora = [ShardedCorpus.open(shards, name, run.data.split) for name in run.data.corpora]
    config = StreamConfig(
        mixture=MixtureConfig(weights=run.data.weights, seed=run.seed),
        context_frames=run.model.context_frames,
        target_frames=run.model.out_frames,
        workers=run.data.workers,
    )
    return SampleStream(corpora, config, _model_layout(run))


def _model_layout(run: RunConfig) -> ModelLayout:
    return ModelLayout(resolution=run.model.resolution, channels=run.model.channels)


def _validator(run: RunConfig, shards: Path, world: int) -> Validator | None:
    """In-loop validation on the corpora that have its split."""
    manifest = read_manifest(shards)
    there = [name for name in run.data.corpora if manifest.find(name, run.validation.split)]
    if not there:
        return None
    return Validator(
        [ShardedCorpus.open(shards, name, run.validation.split) for name in there],
        _model_layout(run),
        run.model.context_frames,
        run.validation.horizon,
        run.validation.limit,
        batch_size=run.step_on(world).micro_batch,
    )


def _check_output(output: Path, run: RunConfig, stream: SampleStream, resume: bool) -> None:
    """Refuse a folder that this run does not fit."""
    config = output / "config.yaml"
    used = config.is_file() or any((output / "checkpoints").glob("step-*"))
    if used and not resume:
        raise UserError(
            f"{output}: holds a run already; go on with --resume, or choose another --output"
        )
    if not resume:
        return
    if not config.is_file():
        raise UserError(f"{output}: nothing to resume: no config.yaml; leave --resume out")
    saved = read_yaml(config)
    if not isinstance(saved, dict) or not isinstance(saved.get("run"), dict):
        raise UserError(f"{config}: not a run's configuration; restore it, or start anew")
    before, now = saved["run"], run.model_dump(mode="json")
    for values in (before, now):
        values["data"] = {**(values.get("data") or {}), "workers": None}  # any number will do
    for part in ("model", "data", "seed", "global_batch"):
        _refuse_change(output, before.get(part), now[part], part)
    if "shards_sha256" in saved:
        _refuse_change(output, saved["shards_sha256"], _fingerprints(stream), "shards_sha256")


def _refuse_change(output: Path, before: Any, now: Any, part: str) -> None:
    difference = first_difference(before, now, part)
    if difference:
        raise UserError(
            f"{output}: cannot resume with another configuration: {difference}; "
            "restore the old value, or start anew in another --output"
        )


def _newest(store: CheckpointStore, run: RunConfig, resume: bool) -> tuple[str, Checkpoint] | None:
    """The checkpoint to go on from: the first rank looks, all ranks take its word; collective."""
    found: list[Any] = [None]
    if resume and dist.get_rank() == 0:
        try:
            found = [store.newest()]
        except UserError as error:
            found = [error]
    dist.broadcast_object_list(found)
    if isinstance(found[0], UserError):
        raise found[0]
    newest: tuple[str, Checkpoint] | None = found[0]
    if newest and newest[1].step > run.steps:
        raise UserError(
            f"{store.folder / newest[0]}: is at step {newest[1].step}, beyond steps={run.steps}; "
            "raise steps, or start anew in another --output"
        )
    return newest


def _fingerprints(stream: SampleStream) -> dict[str, str]:
    return {corpus.name: corpus.fingerprint for corpus in stream.corpora}


def _write_config(options: argparse.Namespace, run: RunConfig, stream: SampleStream) -> None:
    options.output.mkdir(parents=True, exist_ok=True)
    values = {
        "preset": options.preset,
        "overrides": options.overrides,
        "shards": str(options.shards),
        "shards_sha256": _fingerprints(stream),
        "ep_size": options.ep_size,
        "deepspeed_config": str(options.deepspeed_config),
        "world": dist.get_world_size(),
        "run": run.model_dump(mode="json"),
    }
    partial_path = options.output / "config.yaml.partial"
    partial_path.write_text(yaml.safe_dump(values, sort_keys=False))
    os.replace(partial_path, options.output / "config.yaml")


if __name__ == "__main__":
    sys.exit(main())
