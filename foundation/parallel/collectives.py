"""Collectives that gradients pass through: sums over ranks and uneven exchanges.

Axes: rows along the first axis of whatever is exchanged.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _SumOverRanks(torch.autograd.Function):
    """All-reduce whose gradient is all-reduced too.

    Every rank's loss depends on every rank's contribution; data parallelism
    then averages gradients over ranks, which gives the gradient of the mean loss.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


def sum_over_ranks(x: Tensor, group: Any = None) -> Tensor:
    """Differentiable sum over all ranks of the group; the identity on one process."""
    if not dist.is_initialized() or dist.get_world_size(group) == 1:
        return x
    total: Tensor = _SumOverRanks.apply(x, group)  # type: ignore[no-untyped-call]
    return total


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
        ctx.sent, ctx.received, ctx.group = sent, received, group
        return _all_to_all(rows, sent, received, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _all_to_all(gradient, ctx.received, ctx.sent, ctx.group), None, None, None


def exchange(rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
    """Send consecutive runs of rows to the ranks of a group, differentiably.

    Args:
        rows: (sum(sent), ...), runs in the order of the group's ranks.
        sent: number of rows for each rank.
        received: number of rows coming from each rank.
        group: process group.

    Returns:
        (sum(received), ...), runs in the order of the ranks they come from.
    """
    out: Tensor = _Exchange.apply(rows, sent, received, group)  # type: ignore[no-untyped-call]
    return out


def exchange_counts(sent: Tensor, group: Any) -> list[int]:
    """Number of rows that each rank will send here.

    Args:
        sent: int64 (ranks,), rows for each rank.
        group: process group.
    """
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent, group=group)
    return [int(n) for n in received.tolist()]


def _all_to_all(rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
    out = rows.new_empty(sum(received), *rows.shape[1:])
    dist.all_to_all_single(out, rows.contiguous(), received, sent, group=group)
    return out
