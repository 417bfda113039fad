"""Where a score was made: the machine and the commit of this code."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import torch

from evaluation.records.record import Machine

_SOURCE = Path(__file__).resolve()


def this_machine(device: torch.device) -> Machine:
    """The machine that runs this process."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        device=name,
        torch=torch.__version__,
    )


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_SOURCE.parent), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def git_commit() -> str:
    """Commit of the checkout this code runs from; "unknown" where it is not tracked.

    Asked once: what runs was imported then, whatever becomes of the checkout during hours of work.

    An installed copy may lie inside another checkout, whose commit says
    nothing about this code; hence the question whether this very file is tracked.
    """
    if _git("ls-files", "--error-unmatch", _SOURCE.name) is None:
        return "unknown"
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return "unknown"
    return f"{commit}-dirty" if changes else commit
