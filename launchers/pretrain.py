"""Pre-train a foundation model.

    deepspeed --num_accelerators 2 launchers/pretrain.py --preset nano --ep-size 2 \\
        --shards data --output runs/nano

The same script runs on one process (`python launchers/pretrain.py`), on GPUs
and on several nodes (`deepspeed --hostfile`); see README.
"""

if __name__ == "__main__":  # before the imports that take seconds
    from foundation.train.stop import listen

    listen()

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from foundation.models.registry import build_model
from foundation.train.config import load_run_config
from foundation.train.presets import preset_names
from foundation.train.run_folder import Job
from foundation.train.tokenizer import check_tokenizer
from launchers.console.arguments import Parser
from launchers.training.launch import add_training_options, launch


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True, help=f"one of {', '.join(preset_names())}")
    add_training_options(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; exit codes as those of `foundation`, 1 for a non-finite loss."""
    return launch(build_parser(), arguments, _job)


def _job(options: argparse.Namespace) -> Job:
    run = load_run_config(options.preset, options.overrides)
    check_tokenizer(run)
    origin = {"preset": options.preset, "overrides": options.overrides}
    return Job(run, partial(build_model, seed=run.seed), origin)


if __name__ == "__main__":
    sys.exit(main())
