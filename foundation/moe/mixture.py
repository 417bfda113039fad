"""Mixture of experts on feature maps: a map in, a map and its routing out.

Axes: B samples, N tokens (patches), D width, F = D times MLP ratio.
Source: MoE-POT, network item 4: mean of the shared experts plus the weighted
sum of the chosen routed ones; the gate sees the features' mean over space, so
all tokens of a sample go to the same experts. Departures, off by default: every token
for itself (`router.unit: token`) by the mean over its neighbours (`router.neighbourhood`).
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from foundation.moe.experts import ExpertBank, Experts
from foundation.moe.router import RouterConfig, Routing, block_router, pooled


class MixtureOfExperts(nn.Module):
    """Feature extractor, router, shared experts and the bank of routed ones."""

    def __init__(
        self,
        width: int,
        features: int,
        num_shared: int,
        config: RouterConfig,
        grid: Sequence[int] = (),
    ) -> None:
        """Build it.

        Args:
            width: of what comes in and goes out.
            features: of what experts and router see.
            num_shared: experts that all pass.
            config: of the router.
            grid: of the tokens, for neighbourhoods of them; periodic.
        """
        super().__init__()
        self.unit, self.neighbourhood, self.grid = config.unit, config.neighbourhood, tuple(grid)
        self.extract = nn.Linear(width, features)
        self.router = block_router(features, config)
        self.shared = Experts(num_shared, features, width) if num_shared else None
        self.routed: nn.Module = ExpertBank(Experts(config.num_experts, features, width))

    def forward(
        self, x_BND: Tensor, temperature: float | Tensor, decided: Routing | None = None
    ) -> tuple[Tensor, Routing]:
        """(B, N, D) -> (B, N, D) and the routing of the samples.

        Args:
            x_BND: features.
            temperature: of the router.
            decided: the routing, where the router is not asked.
        """
        features_BNF = F.gelu(self.extract(x_BND))
        if decided is not None:
            return self.routed(features_BNF, decided, self.shared), decided
        assert self.router is not None, "it is told how it routes, or has a router"
        if self.unit == "sample":
            routing = self.router(features_BNF.mean(dim=1), temperature)
            return self.routed(features_BNF, routing, self.shared), routing
        # A row of the bank is then one token.
        seen = self._with_neighbours(features_BNF)
        by_token = self.router(seen.flatten(0, 1), temperature)
        tokens = features_BNF.flatten(0, 1)
        mixed = self.routed(tokens[:, None], by_token, self.shared)
        return mixed.view_as(x_BND), pooled(by_token, len(x_BND))

    def _with_neighbours(self, features_BNF: Tensor) -> Tensor:
        """Means over the box around every token."""
        size = self.neighbourhood
        if size == 1:
            return features_BNF
        on_grid = features_BNF.view(len(features_BNF), *self.grid, -1).movedim(-1, 1)
        around = F.pad(on_grid, (size // 2,) * 2 * len(self.grid), mode="circular")
        means = around
        for dim in range(2, around.ndim):
            means = means.unfold(dim, size, 1).mean(-1)
        return means.movedim(1, -1).flatten(1, -2)
