"""Experts: rows of features in, weighted sum over the chosen experts out.

Axes: B samples, M rows held by this rank, N tokens of a sample, F features,
D width, E experts held. A routing unit is one row: a sample's whole map.
Only chosen experts are computed: the work grows with K, not with E.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundation.moe.router import Routing


class Expert(nn.Linear):
    """1 x 1 map and GELU, (..., F) -> (..., D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(super().forward(x))


def mix_chosen(
    rows_MNF: Tensor, weights_ME: Tensor, chosen_ME: Tensor, experts: Sequence[nn.Module]
) -> Tensor:
    """Weighted sum of each row's chosen experts.

    Every expert runs, on no rows if none chose it: its parameters then still
    get a zero gradient, without which ranks would disagree on what to reduce.

    Args:
        rows_MNF: features (M, N, F).
        weights_ME: weight of each expert (M, E); its gradient reaches the gate.
        chosen_ME: True where an expert is to be computed (M, E).
        experts: the E modules, in the order of the last axis of the weights.

    Returns:
        (M, N, D).
    """
    # R routes, sorted by expert: one gather before and one sum after all experts.
    expert_R, row_R = chosen_ME.t().nonzero(as_tuple=True)
    counts = torch.bincount(expert_R, minlength=len(experts)).tolist()
    gathered = torch.split(rows_MNF.index_select(0, row_R), counts)
    parts = [expert(rows) for expert, rows in zip(experts, gathered, strict=True)]
    mixed_RND = torch.cat(parts)
    mixed_RND = mixed_RND * weights_ME[row_R, expert_R, None, None].to(mixed_RND.dtype)
    out_MND = mixed_RND.new_zeros(rows_MNF.shape[0], *mixed_RND.shape[1:])
    return out_MND.index_add(0, row_R, mixed_RND)


class ExpertBank(nn.Module):
    """All routed experts of a block, on one rank."""

    def __init__(self, num_experts: int, features: int, width: int) -> None:
        super().__init__()
        self.features, self.width = features, width
        self.experts = nn.ModuleDict({str(e): Expert(features, width) for e in range(num_experts)})

    @property
    def num_experts(self) -> int:
        return len(self.experts)

    def forward(self, rows_BNF: Tensor, routing: Routing) -> Tensor:
        """(B, N, F) -> (B, N, D), the weighted sum of each sample's experts."""
        return mix_chosen(
            rows_BNF, routing.weights_BE, routing.chosen_BE, list(self.experts.values())
        )


def mean_of(experts: Iterable[nn.Module], x: Tensor) -> Tensor:
    """Average of the shared experts' outputs, which every sample passes."""
    return torch.stack([expert(x) for expert in experts]).mean(0)
