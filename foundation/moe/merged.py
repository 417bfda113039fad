"""Mixtures of linear maps: features in, what each sample's own map makes of them out.

Axes: B samples, s places of one, F features, D width, E experts.
An expert is a linear map, added to the one that all samples share. As they are linear, those that a
sample chose are merged before they are used, and a mixture costs hardly more than one map.
Every rank holds all of them: a sample's features are many more than the weights that they meet.
Source: merged experts are SMEAR's (Muqeeth, Liu and Raffel 2023); the choice is a router's here.
"""

import torch
from torch import Tensor, nn


class MergedMaps(nn.Module):
    """A shared map, and what experts add to it: weight (E, D, F), bias (E, D)."""

    def __init__(self, features: int, width: int, num_experts: int) -> None:
        super().__init__()
        self.shared = nn.Linear(features, width)
        self.weight = nn.Parameter(torch.empty(num_experts, width, features))
        self.bias = nn.Parameter(torch.empty(num_experts, width))

    def reset(self, _generator: torch.Generator) -> None:
        """Nothing is added yet: all samples start from the shared map."""
        with torch.no_grad():
            self.weight.zero_()
            self.bias.zero_()

    @property
    def of_expert(self) -> int:
        """Parameters of one expert."""
        return self.weight[0].numel() + self.bias[0].numel()

    def forward(self, rows_BsF: Tensor, weights_BE: Tensor) -> Tensor:
        """(B, *s, F) -> (B, *s, D), by each sample's weights of the experts (B, E)."""
        weights_BE = weights_BE.to(self.weight.dtype)
        added = torch.unflatten(weights_BE @ self.weight.flatten(1), 1, self.weight.shape[1:])
        weight_BFD = (self.shared.weight + added).transpose(1, 2)
        bias_BD = self.shared.bias + weights_BE @ self.bias
        out_BND = torch.baddbmm(bias_BD[:, None], rows_BsF.flatten(1, -2), weight_BFD)
        return out_BND.view(*rows_BsF.shape[:-1], -1)
