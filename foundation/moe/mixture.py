"""Mixture of experts on feature maps: a map in, a map and its routing out.

Axes: B samples, N tokens (patches), D width, F = D times MLP ratio.
Source: MoE-POT, network item 4: mean of the shared experts plus the weighted
sum of the chosen routed ones; the gate sees the features' mean over space, so
all tokens of a sample go to the same experts. Departure, off by default: every token
for itself (`router.unit: token`).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from foundation.moe.experts import Expert, ExpertBank
from foundation.moe.router import Router, RouterConfig, Routing, pooled


class MixtureOfExperts(nn.Module):
    """Feature extractor, router, shared experts and the bank of routed ones."""

    def __init__(self, width: int, features: int, num_shared: int, config: RouterConfig) -> None:
        super().__init__()
        self.unit = config.unit
        self.extract = nn.Linear(width, features)
        self.router = Router(features, config)
        self.shared = nn.ModuleList(Expert(features, width) for _ in range(num_shared))
        self.routed: nn.Module = ExpertBank(config.num_experts, features, width)

    def forward(self, x_BND: Tensor, temperature: float | Tensor) -> tuple[Tensor, Routing]:
        """(B, N, D) -> (B, N, D) and the routing of the samples."""
        features_BNF = F.gelu(self.extract(x_BND))
        if self.unit == "sample":
            routing = self.router(features_BNF.mean(dim=1), temperature)
            return self.routed(features_BNF, routing, list(self.shared)), routing
        # A row of the bank is then one token.
        tokens = features_BNF.flatten(0, 1)
        by_token = self.router(tokens, temperature)
        mixed = self.routed(tokens[:, None], by_token, list(self.shared))
        return mixed.view_as(x_BND), pooled(by_token, len(x_BND))
