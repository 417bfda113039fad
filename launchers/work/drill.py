"""What `foundation drill` does: a training left alone, then one per fault, compared with it."""

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
from launchers.training.drill import Trial, counts, left_alone, tried
from launchers.training.fault import KINDS, Fault
from launchers.training.process import module_command
from launchers.training.supervisor import Command

_ASKED = "preset", "ranks", "ep_size", "seed", "kinds", "hung_after", "overrides"  # a drill's terms


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for."""
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
