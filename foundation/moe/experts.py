"""Experts, and all routed ones of a block together.

Axes: B samples, N tokens of a sample, F features, D width.
"""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from foundation.moe.mixing import ExpertRoutes, mix_chosen
from foundation.moe.router import Routing


class Expert(nn.Linear):
    """1 x 1 map and GELU, (..., F) -> (..., D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(super().forward(x))


class ExpertBank(nn.Module):
    """All routed experts of a block, on one rank."""

    def __init__(self, num_experts: int, features: int, width: int) -> None:
        super().__init__()
        self.features, self.width = features, width
        self.experts = nn.ModuleDict({str(e): Expert(features, width) for e in range(num_experts)})

    @property
    def num_experts(self) -> int:
        return len(self.experts)

    def forward(self, rows_BNF: Tensor, routing: Routing, shared: Sequence[Expert]) -> Tensor:
        """(B, N, F) -> (B, N, D), weighted sum of each sample's experts and mean of the shared."""
        experts = cast(list[Expert], list(self.experts.values()))
        routes = ExpertRoutes.of_choices(routing.experts_BK, routing.weights_BK, self.num_experts)
        return mix_chosen(rows_BNF, routes, experts, shared)
