"""Box parallelism: the local solvers of a constraint spread over ranks, as experts are.

Axes: B samples of this rank, K boxes, L of them on each of R ranks, N weights.
A rank sends the fields of every box to the rank that owns it and gets weights back; owners solve
the boxes of all samples at once. Gradients go the same way back. Boxes have no parameters, so
that there is nothing to reduce. Tensors are packed into one exchange: rows are boxes.
"""

from math import prod
from typing import Any

import torch
from deepspeed.utils import groups
from torch import Tensor

from foundation.constraint.bank import BoxBank
from foundation.constraint.levenberg_marquardt import Ending, Residual, SolverConfig
from foundation.parallel.collectives import begin_exchange, exchange_counts


class ParallelBoxBank(BoxBank):
    """Stands in for a `BoxBank`; same inputs, same outputs, solved by their owners."""

    def __init__(self, bank: BoxBank, ep_size: int) -> None:
        super().__init__(bank.num_boxes)
        self.ep_size = ep_size
        groups._create_expert_and_data_parallel(ep_size)  # no matter if they are there already
        self.group: Any = groups._get_expert_parallel_group(f"ep_size_{ep_size}")

    def forward(
        self,
        residual: Residual,
        start_BKN: Tensor,
        own: tuple[Tensor, ...],
        config: SolverConfig,
    ) -> Ending:
        samples, boxes = start_BKN.shape[:2]
        local = boxes // self.ep_size
        # Owners first: box k is solved by rank k // L of the group.
        parts = [part.transpose(0, 1).flatten(0, 1) for part in (start_BKN, *own)]
        packed, shapes = _packed(parts)
        counts = torch.full((self.ep_size,), local * samples, device=packed.device)
        sent, received = counts.tolist(), exchange_counts(counts, self.group)
        start, *arrived = _unpacked(begin_exchange(packed, sent, received, self.group)(), shapes)
        ending = super().forward(residual, start[None], tuple(t[None] for t in arrived), config)
        told = [
            ending.weights_BN[0],
            *(part[0, :, None].to(packed.dtype) for part in list(vars(ending).values())[1:]),
        ]
        packed, shapes = _packed(told)
        found = _unpacked(begin_exchange(packed, received, sent, self.group)(), shapes)
        weights, gradient, iterations, converged = (
            part.view(boxes, samples, *part.shape[1:]).transpose(0, 1) for part in found
        )
        return Ending(
            weights,
            gradient[..., 0].detach(),
            iterations[..., 0].detach().round().to(torch.int64),
            converged[..., 0].detach() > 0.5,
        )


def _packed(parts: list[Tensor]) -> tuple[Tensor, list[torch.Size]]:
    """Rows of several tensors side by side, and the shapes of a row."""
    rows = torch.cat([part.flatten(1) if part.ndim > 1 else part[:, None] for part in parts], 1)
    return rows, [part.shape[1:] for part in parts]


def _unpacked(rows: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    columns = torch.split(rows, [prod(shape) for shape in shapes], 1)
    return [part.reshape(len(rows), *shape) for part, shape in zip(columns, shapes, strict=True)]
