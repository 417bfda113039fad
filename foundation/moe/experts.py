"""Experts, and all routed ones of a block together.

Axes: B samples, N tokens of a sample, M rows, F features, D width, E experts.
"""

from typing import Any

import torch
from torch import Tensor, nn

from foundation.moe.mixing import ExpertRoutes, Maps, mix_chosen
from foundation.moe.router import Routing
from foundation.nn.initialise import uniform_by_fan
from foundation.nn.stacked import Stacked


class RoutedExperts(Stacked):
    """Base of what a bank holds: experts of one form, of which every row passes some."""

    def mixed(self, rows_MNF: Tensor, routes: ExpertRoutes, shared: Any) -> Tensor:
        """Weighted sum of each row's chosen ones and mean of the shared, (M, N, D).

        Args:
            rows_MNF: features (M, N, F).
            routes: of the rows to these experts.
            shared: of the same form, None without any.
        """
        raise NotImplementedError


class Experts(RoutedExperts):
    """1 x 1 maps and GELU, (..., F) -> (..., D): weight (E, D, F), bias (E, D)."""

    def __init__(self, number: int, features: int, width: int) -> None:
        super().__init__(number)
        self.weight = nn.Parameter(torch.empty(number, width, features))
        self.bias = nn.Parameter(torch.empty(number, width))

    def start(self, index: int, generator: torch.Generator) -> None:
        """As torch starts a linear map."""
        uniform_by_fan(self.weight.detach()[index], self.bias.detach()[index], generator)

    @property
    def maps(self) -> Maps:
        """The linear maps in front of GELU."""
        return Maps(self.weight, self.bias)

    def mixed(self, rows_MNF: Tensor, routes: ExpertRoutes, shared: "Experts | None") -> Tensor:
        """Weighted sum of each row's chosen ones and mean of the shared, (M, N, D)."""
        return mix_chosen(rows_MNF, routes, self.maps, None if shared is None else shared.maps)


class ExpertBank(nn.Module):
    """All routed experts of a block, on one rank."""

    def __init__(self, experts: RoutedExperts) -> None:
        super().__init__()
        self.experts = experts

    @property
    def num_experts(self) -> int:
        return len(self.experts)

    def forward(self, rows_BNF: Tensor, routing: Routing, shared: Experts | None) -> Tensor:
        """(B, N, F) -> (B, N, D), weighted sum of each sample's experts and mean of the shared."""
        routes = ExpertRoutes.of_choices(routing.experts_BK, routing.weights_BK, self.num_experts)
        return self.experts.mixed(rows_BNF, routes, shared)
