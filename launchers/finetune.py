"""Fine-tune a checkpoint on one corpus, or train its architecture from scratch.

    deepspeed --num_accelerators 2 launchers/finetune.py --checkpoint runs/tiny/model \\
        --corpus fno_ns_1e-4 --shards data --trajectories 64 --output runs/tiny-ns1e-4
    python launchers/finetune.py --checkpoint runs/tiny/model --from-scratch ... epochs=100

Options as those of pretrain.py; the same script runs on one process. Early
stopping on the last frames of every trajectory, which training then never
predicts: early_stopping.held_out=2 early_stopping.patience=5.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from foundation.train.stop import listen

    listen()

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from data_shards.remote.find import find_shards
from data_shards.shards.manifest import read_manifest
from foundation.checkpoint.folder import find_folder, fingerprint_of, read_config
from foundation.train.finetuning import load_finetuning, network_of
from foundation.train.run_folder import Job, loss_of
from launchers.console.arguments import CHECKPOINT_HELP, Parser, positive
from launchers.console.recipe_options import add_recipe_options
from launchers.training.launch import add_training_options, launch


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help=CHECKPOINT_HELP)
    parser.add_argument("--corpus", required=True, help="what to learn")
    parser.add_argument(
        "--trajectories", type=positive, metavar="N", help="learn from N of them, chosen by seed"
    )
    add_recipe_options(parser, default="finetune")
    parser.add_argument(
        "--from-scratch",
        action="store_true",
        help="take only the architecture from the checkpoint, weights from the seed",
    )
    add_training_options(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; exit codes as those of `foundation`, 1 for a non-finite loss."""
    return launch(build_parser(), arguments, _job)


def _job(options: argparse.Namespace) -> Job:
    folder = find_folder(options.checkpoint)
    model, about = read_config(folder)
    length = [] if options.steps is None else [f"steps={options.steps}"]
    overrides = [*length, *options.overrides]
    tuning = load_finetuning(
        options.recipe,
        model,
        read_manifest(find_shards(options.shards)).entry(options.corpus, "train"),
        overrides,
        trajectories=options.trajectories,
        router=options.router,
        from_scratch=options.from_scratch,
        learnt_by=loss_of(about),
    )
    origin: dict[str, Any] = {
        "recipe": options.recipe,
        "overrides": overrides,
        "trajectories": tuning.run.data.limit,
        "router": tuning.router,
        "fine_tuned_from": None,
        "source_sha256": None,
    }
    if not options.from_scratch:
        origin["fine_tuned_from"] = {"name": options.checkpoint, "about": about}
        origin["source_sha256"] = fingerprint_of(folder)
    network = network_of(tuning, None if options.from_scratch else folder)
    return Job(tuning.run, network, origin, fixed=("router", "source_sha256"))


if __name__ == "__main__":
    sys.exit(main())
