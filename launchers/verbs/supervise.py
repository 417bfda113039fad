"""`foundation supervise`: a training that starts again after its deaths."""

import argparse
import signal

from data_shards.errors import UserError
from launchers.console.arguments import Subparsers, add_parser, not_negative, positive_number
from launchers.verbs import SUMMARIES

_EXAMPLE = """example:
  foundation supervise --restarts 5 -- deepspeed --num_gpus 8 launchers/pretrain.py \\
      --preset small --ep-size 8 --shards shards --output runs/small

The command behind -- is that of a training, as it would be typed without. When it ends before its
run is finished it starts again with --resume, from the newest checkpoint whose checksums are right;
after two starts that saved nothing, on fewer ranks. A user's error (code 2) ends it, and so does a
run that stopped itself: bad data, or a model that diverged if --lower-rate is 1. Ctrl-C and SIGTERM
save and leave.
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `supervise` to the console."""
    parser = add_parser(subparsers, "supervise", SUMMARIES["supervise"], _EXAMPLE)
    parser.add_argument(
        "--restarts",
        type=not_negative,
        default=3,
        metavar="N",
        help="in a row, without a new checkpoint (default 3)",
    )
    parser.add_argument(
        "--pause",
        type=positive_number,
        default=10.0,
        metavar="SECONDS",
        help="before a restart, twice as long before the next one that saves nothing (default 10)",
    )
    parser.add_argument(
        "--lower-rate",
        type=positive_number,
        default=1.0,
        metavar="FACTOR",
        help="start a run that diverged again, with optimiser.lr times this, at most N times "
        "(default 1: do not); health.on_spike=stop lets a loss that leaps count as diverged",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise UserError("no command; write that of a training behind --")
    if options.lower_rate > 1:
        raise UserError(f"--lower-rate {options.lower_rate:g}: wanted at most 1, which is: do not")

    from launchers.training.supervisor import Command, Supervisor

    command = Command(tuple(words))
    supervisor = Supervisor(command, options.restarts, options.pause, options.lower_rate)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    return supervisor.run()
