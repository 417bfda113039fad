"""Faults at random moments: supervised trainings in, how each of them ended out.

Every trial is one training under the supervisor, of several ranks through DeepSpeed's launcher, in
which one process is killed, terminated or stopped once. What comes out is compared with a training
that was left alone: all logged numbers but the clock's, and the weights, bit for bit. A trial is a
function of the drill's seed and its number, so that a drill goes on where it was left.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from data_shards.errors import UserError
from foundation.checkpoint.folder import load_folder
from foundation.train.run_folder import model_of
from launchers.training.fault import KINDS, Fault
from launchers.training.process import TrainingFailedError
from launchers.training.supervisor import Command, Supervisor

_RESTARTS, _PAUSE_S = 3, 0.5
_CLOCKS = re.compile(r"seconds|samples_per_s|memory")
_LOOK_S = 0.05


@dataclass(frozen=True)
class Trial:
    """How one training ended.

    Attributes:
        kind, target: of its fault.
        step: logged last when the fault came; None before the first.
        came: whether the run was still at work then.
        starts: of the launcher, the last one to the end.
        code: exit code of the supervisor.
        difference: from the training that was left alone; None if there is none.
    """

    kind: str
    target: str
    step: int | None
    came: bool
    starts: int
    code: int
    difference: str | None


def left_alone(command: Command) -> float:
    """Train what others are compared with, if it is not there yet; gives its seconds.

    Raises:
        UserError: what the training says is the user's to mend.
        TrainingFailedError: it did not end well in another way.
    """
    seconds = command.output / "seconds"
    if model_of(command.output) is None or not seconds.exists():
        shutil.rmtree(command.output, ignore_errors=True)  # of a drill that was left
        began = time.monotonic()
        with _supervised(command) as supervisor:
            code = supervisor.run()
        if code != 0:
            log = log_of(command.output)
            said = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
            if code == 2 and said:
                raise UserError(said[-1].removeprefix("error: "))
            raise TrainingFailedError(
                f"{command.output}: ended with code {code}, undisturbed; see {log}"
            )
        seconds.write_text(str(time.monotonic() - began))
    return float(seconds.read_text())


def tried(command: Command, fault: Fault, reference: Path) -> Trial:
    """Train with one fault.

    Args:
        command: of the training; what is in its folder goes.
        fault: that comes to it.
        reference: folder of the one that was left alone.
    """
    shutil.rmtree(command.output, ignore_errors=True)
    seen: list[int | None] = []
    over = threading.Event()
    with _supervised(command) as supervisor:
        thread = threading.Thread(target=_strike, args=(supervisor, fault, seen, over))
        thread.start()
        try:
            code = supervisor.run()
        finally:
            over.set()
            thread.join()
    return Trial(
        kind=fault.kind,
        target=fault.target,
        step=seen[0] if seen else None,
        came=bool(seen),
        starts=supervisor.starts,
        code=code,
        difference=difference(command.output, reference),
    )


def counts(trials: Sequence[Trial]) -> dict[str, dict[str, int]]:
    """By kind of fault: trials, those before a first step, and those that ended otherwise."""
    found: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        own = [trial for trial in trials if trial.kind == kind and trial.came]
        found[kind] = {
            "trials": len(own),
            "before_a_step": sum(trial.step is None for trial in own),
            "not_finished": sum(trial.code != 0 for trial in own),
            "not_equal": sum(trial.code == 0 and trial.difference is not None for trial in own),
        }
    return found


def difference(run: Path, reference: Path) -> str | None:
    """Where two finished trainings differ first: in what they logged, or in their weights."""
    ours, theirs = logged(run), logged(reference)
    if len(ours) != len(theirs):
        return f"{len(ours)} lines logged, not {len(theirs)}"
    for mine, its in zip(ours, theirs, strict=True):
        if mine != its:
            return f"{its['kind']} at step {its['step']}"
    models = [model for model in (model_of(run), model_of(reference)) if model is not None]
    if len(models) < 2:
        return "no weights"
    own, its = (load_folder(model)[0].state_dict() for model in models)
    return next((name for name in its if not torch.equal(own[name], its[name])), None)


def logged(run: Path) -> list[dict[str, Any]]:
    """What a run computed, without what its clock measured; what it noticed, a restart forgets."""
    path = run / "metrics.jsonl"
    rows: list[dict[str, Any]] = []
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):  # of a line that is written
        rows += (json.loads(line) for line in path.read_text().splitlines())
    computed = (row for row in rows if row["kind"] in ("train", "validation"))
    return [{k: v for k, v in row.items() if not _CLOCKS.search(k)} for row in computed]


def log_of(output: Path) -> Path:
    """The file beside a training folder that holds what its supervisor and launcher say."""
    return output.with_name(f"{output.name}.log")


@contextmanager
def _supervised(command: Command) -> Iterator[Supervisor]:
    """With what it and the command say in a file beside the training folder."""
    command.output.parent.mkdir(parents=True, exist_ok=True)
    with log_of(command.output).open("a") as said:
        tell = partial(print, file=said, flush=True)
        yield Supervisor(command, _RESTARTS, _PAUSE_S, said=said, tell=tell)


def _strike(
    supervisor: Supervisor, fault: Fault, seen: list[int | None], over: threading.Event
) -> None:
    """Send the signal when it is time and the target is there; note the step of that moment."""
    if over.wait(fault.after_s):
        return
    while not over.wait(_LOOK_S):
        process = supervisor.process
        alone = supervisor.command.ranks is None  # the one rank, without a launcher
        pid = None if process is None else process.pid if alone else find(process.pid, fault.target)
        if pid is None:
            continue
        steps = [row["step"] for row in logged(supervisor.command.output)]
        try:
            os.kill(pid, signal.Signals[f"SIG{fault.kind}"])
        except ProcessLookupError:
            continue
        seen.append(max(steps, default=None))
        return


def find(runner: int, target: str) -> int | None:
    """The process of a target among those that `deepspeed` has started."""
    if target == "runner":
        return runner
    launchers = [p for p in _children(runner) if b"deepspeed.launcher.launch" in _words(p)]
    if not launchers:
        return None
    if target == "launcher":
        return launchers[0]
    named = f"--local_rank={target.removeprefix('rank ')}".encode()
    return next((p for p in _children(launchers[0]) if named in _words(p).split(b"\0")), None)


def _children(parent: int) -> list[int]:
    with contextlib.suppress(OSError):
        path = Path(f"/proc/{parent}/task/{parent}/children")
        return [int(pid) for pid in path.read_text().split()]
    return []


def _words(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
