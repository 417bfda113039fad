"""Collectives as torch's dispatcher sees them, whoever calls: what a rank sends to others.

Sizes are of the algorithms that move the least: a ring for reductions and gathers. An
exchange counts what goes to other ranks, by its own split.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class SentBytes(TorchDispatchMode):
    """While it is on, adds up bytes sent by kind of collective and size of its group."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, int]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        if name.startswith("c10d::"):
            kind = name.removeprefix("c10d::").rstrip("_")
            if kind not in _SENT:
                raise AssertionError(f"a collective that is not counted: {name}")
            group = next(g for g in map(_group, args) if g is not None)
            sent = _SENT[kind](args, group)
            if group.size() > 1:
                self.seen[kind, group.size()] += sent
        return func(*args, **(kwargs or {}))


def _group(value: Any) -> Any:
    try:
        return dist.ProcessGroup.unbox(value)
    except (TypeError, RuntimeError, AttributeError):
        return None


def _size(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(map(_size, value))


def _ring(rounds: int, place: int) -> Callable[[Any, Any], float]:
    return lambda args, group: rounds * (group.size() - 1) / group.size() * _size(args[place])


def _exchanged(args: Any, group: Any) -> float:
    rows, splits = args[1], args[4]
    splits = splits or [len(rows) // group.size()] * group.size()
    row = _size(rows) / max(len(rows), 1)
    return row * (sum(splits) - splits[group.rank()])


_SENT: dict[str, Callable[[Any, Any], float]] = {
    "allreduce": _ring(2, 0),
    "_allgather_base": _ring(1, 0),
    "alltoall_base": _exchanged,
    "broadcast": lambda args, group: _size(args[0]),
    "barrier": lambda args, group: 0.0,
}
