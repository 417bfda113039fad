"""A converted checkpoint's files, one per parameter, as the stacks of this run want them.

A stack's parameter may have been saved as that of a rank with other experts, or, by versions before
there were stacks, expert by expert.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foundation.nn.stacked import Stacked
from foundation.parallel.expert_parallel import ExpertParallelBank, numbers_of

_STATES = ("fp32.pt", "exp_avg.pt", "exp_avg_sq.pt")
_STEP = "step.pt"
_VALUE = "param"  # of the file's dictionary


def restack(folder: Path, model: nn.Module) -> None:
    """Write what this run's stacks want and the folder lacks.

    Args:
        folder: "zero" of DeepSpeed's universal form.
        model: of this run.
    """
    banks = {bank.experts: bank for bank in model.modules() if isinstance(bank, ExpertParallelBank)}
    for path, stacked in model.named_modules():
        if not isinstance(stacked, Stacked):
            continue
        for name, _ in stacked.named_parameters():
            if stacked not in banks:
                _gather(folder, f"{path}.{name}", path, name, range(len(stacked)))
                continue
            listed = path.rpartition(".")[0]
            for rank in range(banks[stacked].ep_size):
                first = rank * len(stacked)
                numbers = numbers_of(first, len(stacked))
                wanted = range(first, first + len(stacked))
                _gather(folder, f"{listed}.{numbers}.{name}", listed, name, wanted)


def _gather(folder: Path, target: str, listed: str, name: str, numbers: range) -> None:
    """One stack's files from those of its modules, unless they are there."""
    if (folder / target).exists():
        return
    sources = [_source(folder, listed, name, number) for number in numbers]
    if not all(sources):  # of what is frozen there is no state
        return
    (folder / target).mkdir()
    for state in _STATES:
        read: dict[Path, dict[str, Any]] = {}
        parts: list[Tensor] = []
        for source, index in filter(None, sources):
            if source not in read:
                read[source] = torch.load(source / state)
            whole = read[source][_VALUE]
            parts.append(whole if index is None else whole[index])
        values = {**next(iter(read.values())), _VALUE: torch.stack(parts)}
        torch.save(values, folder / target / state)
    step = next(source for source, _ in filter(None, sources)) / _STEP
    if step.exists():
        torch.save(torch.load(step), folder / target / _STEP)


def _source(folder: Path, listed: str, name: str, number: int) -> tuple[Path, int | None] | None:
    """Where one module's parameter lies: alone, or in a stack at some index."""
    alone = folder / f"{listed}.{number}.{name}"
    if alone.exists():
        return alone, None
    for path in folder.glob(f"{listed}.*-*.{name}"):
        found = re.fullmatch(r"(\d+)-(\d+)", path.name[len(listed) + 1 : -len(name) - 1])
        if found and int(found[1]) <= number <= int(found[2]):
            return path, number - int(found[1])
    return None
