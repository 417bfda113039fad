"""Where a figure of the bench comes from: command, commit and machine, as plain values."""

import sys
from typing import Any

import torch

from evaluation.records.provenance import git_commit, this_machine


def provenance(device: torch.device) -> dict[str, Any]:
    """First entries of a record."""
    words = sys.argv[1:]
    script = ["foundation"] if words[:1] == ["bench"] else ["python", "launchers/bench.py"]
    return {
        "command": " ".join([*script, *words]),
        "commit": git_commit(),
        "machine": this_machine(device).model_dump(),
    }
