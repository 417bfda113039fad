"""`foundation drill`: what deaths of its processes cost a training, tried out."""

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from data_shards.atomic import replace_file
from data_shards.errors import UserError
from evaluation.records.provenance import git_commit, this_machine
from foundation.train.config import load_run_config
from launchers.console.arguments import (
    Subparsers,
    add_parser,
    add_shards_option,
    minutes,
    not_negative,
    positive,
)
from launchers.training.drill import KINDS, Fault, Kind, Trial, counts, left_alone, tried
from launchers.training.process import module_command
from launchers.training.supervisor import Command
from launchers.verbs import SUMMARIES

_ASKED = "preset", "ranks", "ep_size", "seed", "kinds", "hung_after", "overrides"  # a drill's terms
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
    options.ep_size = options.ep_size or options.ranks
    load_run_config(options.preset, options.overrides).check_ranks(options.ranks, options.ep_size)
    reference = _command(options, "alone")
    path, trials = options.output / "drill.json", []
    known = _known(options, path)
    duration_s = left_alone(reference)
    for number in range(options.trials):
        if number < len(known):
            trials.append(Trial(**known[number]))
            continue
        fault = Fault.drawn(options.seed, number, options.ranks, duration_s, options.kinds)
        trial = tried(_command(options, f"trial-{number:03d}"), fault, reference.output)
        trials.append(trial)
        _say(number, trial)
        _write(path, options, trials)
    for kind, found in counts(trials).items():
        print(f"{kind}: " + ", ".join(f"{name} {number}" for name, number in found.items()))
    return int(any(trial.difference is not None or trial.code != 0 for trial in trials))


def _known(options: argparse.Namespace, path: Path) -> list[dict[str, Any]]:
    """Trials of before, on the same terms.

    Raises:
        UserError: they are on others, or their file is damaged.
    """
    if not path.exists():
        shutil.rmtree(options.output / "alone", ignore_errors=True)  # on terms that nobody knows
        options.output.mkdir(parents=True, exist_ok=True)
        _write(path, options, [])
        return []
    try:
        record = {"kinds": list(KINDS)} | json.loads(path.read_text())  # before they were asked
        known, before = list(record["trials"]), {name: record[name] for name in _ASKED}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: damaged; choose another --output") from None
    now = {name: getattr(options, name) for name in _ASKED}
    if changed := [name for name in _ASKED if now[name] != before[name]]:
        told = ", ".join(f"{name} was {before[name]}, now {now[name]}" for name in changed)
        raise UserError(f"{options.output}: holds another drill ({told}); choose another --output")
    return known


def _command(options: argparse.Namespace, name: str) -> Command:
    return Command(
        (
            *module_command("launchers.pretrain", options.ranks),
            *("--preset", options.preset, "--ep-size", str(options.ep_size)),
            *("--shards", str(options.shards), "--output", str(options.output / name)),
            # Loads of experts are logged as a mean over steps, which a restart would cut.
            *("--hung-after", str(options.hung_after), "log_every=1", *options.overrides),
        )
    )


def _say(number: int, trial: Trial) -> None:
    when = "before the first step" if trial.step is None else f"at step {trial.step}"
    ended = f"{trial.starts} starts, code {trial.code}, {trial.difference or 'equal'}"
    came = f"{trial.kind} of {trial.target} {when}" if trial.came else "over before its fault"
    print(f"trial {number}: {came}: {ended}", flush=True)


def _write(path: Path, options: argparse.Namespace, trials: list[Trial]) -> None:
    replace_file(path, json.dumps(_record(options, trials), indent=1).encode())


def _record(options: argparse.Namespace, trials: list[Trial]) -> dict[str, Any]:
    return {
        "commit": git_commit(),
        "machine": this_machine(torch.device("cpu")).model_dump(),
        **{name: getattr(options, name) for name in _ASKED},
        "counts": counts(trials),
        "trials": [asdict(trial) for trial in trials],
    }
