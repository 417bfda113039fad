"""Collectives that gradients pass through: sums over ranks and uneven exchanges.

Axes: rows along the first axis of whatever is exchanged.
"""

from collections.abc import Callable
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


class _Flight:
    """An exchange between its beginning and its end, forward or backward."""

    def __init__(self, sent: list[int], received: list[int], group: Any) -> None:
        self.sent, self.received, self.group = sent, received, group
        self._work: Any = None
        self._arriving: Tensor | None = None

    def begin(self, rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
        """Where the rows will stand once `end` has returned."""
        self._arriving = rows.new_empty(sum(received), *rows.shape[1:])
        self._work = dist.all_to_all_single(
            self._arriving, rows.contiguous(), received, sent, group=self.group, async_op=True
        )
        return self._arriving

    def end(self) -> Tensor:
        assert self._arriving is not None, "an exchange ends once"
        self._work.wait()
        arrived, self._arriving, self._work = self._arriving, None, None
        return arrived


class _Begin(torch.autograd.Function):
    """Sends rows; gives a ticket for `_End`, shaped as the gradient that will come back."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, flight: _Flight) -> Tensor:
        ctx.flight = flight
        flight.begin(rows, flight.sent, flight.received)
        return rows.new_zeros(()).expand(rows.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.flight.end(), None


class _End(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ticket: Tensor, flight: _Flight) -> Tensor:
        ctx.flight = flight
        return flight.end()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        flight = ctx.flight
        return flight.begin(gradient, flight.received, flight.sent), None


def begin_exchange(
    rows: Tensor, sent: list[int], received: list[int], group: Any
) -> Callable[[], Tensor]:
    """Start to send consecutive runs of rows to the ranks of a group, differentiably.

    What is computed before the end is asked for goes on beside the exchange; so does its
    gradient beside the exchange of gradients, because autograd goes back in the order of calls.

    Args:
        rows: (sum(sent), ...), runs in the order of the group's ranks.
        sent: number of rows for each rank.
        received: number of rows coming from each rank.
        group: process group.

    Returns:
        A function to be called once, that waits and gives (sum(received), ...), runs in the
        order of the ranks they come from.
    """
    flight = _Flight(sent, received, group)
    ticket: Tensor = _Begin.apply(rows, flight)  # type: ignore[no-untyped-call]
    return lambda: _End.apply(ticket, flight)  # type: ignore[no-untyped-call]


def exchange_counts(sent: Tensor, group: Any) -> list[int]:
    """Number of rows that each rank will send here.

    Args:
        sent: int64 (ranks,), rows for each rank.
        group: process group.
    """
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent, group=group)
    return [int(n) for n in received.tolist()]
