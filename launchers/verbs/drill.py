"""`foundation drill`: what deaths of its processes cost a training, tried out."""

import argparse
from pathlib import Path

from launchers.console.arguments import (
    Subparsers,
    add_parser,
    add_shards_option,
    minutes,
    not_negative,
    positive,
)
from launchers.training.fault import KINDS, Kind
from launchers.verbs import SUMMARIES

_EXAMPLE = """example:
  foundation drill --trials 20 --shards shards --output drill --hung-after 0.5 \\
      steps=200 checkpoint.every=20

One training is left alone; then every trial is one under the supervisor, through DeepSpeed's
launcher if it has several ranks, in which a rank or a launcher is killed (KILL), terminated (TERM)
or stopped (STOP) at a random moment. What is logged and the weights must be those of the first
one, bit for bit; else the code is 1. The same command goes on where it was left. OUTPUT/drill.json
is the record.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `drill` to the console."""
    parser = add_parser(subparsers, "drill", SUMMARIES["drill"], _EXAMPLE)
    add_shards_option(parser, "what to learn from")
    parser.add_argument("--output", required=True, type=Path, help="folder of all trainings")
    parser.add_argument("--trials", type=positive, default=10, metavar="N", help="default 10")
    parser.add_argument("--preset", default="debug", help="of the trainings (default debug)")
    parser.add_argument("--ranks", type=positive, default=2, metavar="N", help="default 2")
    parser.add_argument("--ep-size", type=positive, metavar="N", help="default: all ranks")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the faults (default 0)")
    parser.add_argument(
        "--kinds",
        type=_kinds,
        default=list(KINDS),
        metavar="KIND,...",
        help=f"of the faults, drawn from these (default {','.join(KINDS)})",
    )
    parser.add_argument(
        "--hung-after",
        type=minutes,
        default=0.5,
        metavar="MINUTES",
        help="of the trainings; what a stopped rank costs (default 0.5)",
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key.path=value", help="of the trainings, as in steps=100"
    )
    parser.set_defaults(run=_run)


def _kinds(text: str) -> list[Kind]:
    """Some of the kinds of faults, each once, in their order."""
    words = text.upper().split(",")
    if unknown := [word for word in words if word not in KINDS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(KINDS)}")
    return [kind for kind in KINDS if kind in words]


def _run(options: argparse.Namespace) -> int:
    from launchers.work.drill import run

    return run(options)
