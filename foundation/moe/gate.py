"""Gate network: one feature vector per sample in, one logit per routed expert out.

Axes: B samples, F gate features (width times MLP ratio), E routed experts.
Source: MoE-POT, network item 4. The published gate normalises over the batch,
which couples samples; `layer` normalises each sample by itself, so that a
route depends on nothing but the sample. Both are named configuration.
`PrototypeGate` is the soft-semantic one of Shodh-MoE as its abstract names it: how like a
feature vector is to one learnt vector per expert.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundation.nn.normalise import SampleBatchNorm

GateNorm = Literal["batch", "layer"]

_ATTENTION_REDUCTION = 16


class Gate(nn.Module):
    """Three maps with two normalisations and a channel attention after the first."""

    def __init__(self, features: int, num_experts: int, norm: GateNorm) -> None:
        super().__init__()
        squeezed = _squeezed(features)
        self.widen = nn.Linear(features, 2 * features)
        self.norm_wide = _norm(2 * features, norm)
        self.attention_in = nn.Linear(2 * features, squeezed)
        self.attention_out = nn.Linear(squeezed, 2 * features)
        self.narrow = nn.Linear(2 * features, features)
        self.norm_narrow = _norm(features, norm)
        self.score = nn.Linear(features, num_experts)

    def forward(self, features_BF: Tensor) -> Tensor:
        """(B, F) -> logits (B, E), float32."""
        x = F.gelu(self.norm_wide(self.widen(features_BF)))
        # Average and maximum over a 1 x 1 map agree, so their summed attention is twice one.
        attention = self.attention_out(F.gelu(self.attention_in(x)))
        x = x * (2 * attention).sigmoid()
        x = F.gelu(self.norm_narrow(self.narrow(x)))
        logits_BE: Tensor = self.score(x)
        return logits_BE.float()


def gate_products(features: int, num_experts: int) -> int:
    """Multiply-adds of a `Gate` for one vector of features."""
    return features * (4 * features + num_experts) + 4 * features * _squeezed(features)


def first_products(features: int) -> int:
    """Of them, those of its first map."""
    return 2 * features * features


def _squeezed(features: int) -> int:
    """Width of the channel attention."""
    return max(2 * features // _ATTENTION_REDUCTION, 1)


class PrototypeGate(nn.Module):
    """Cosine of normalised features to a prototype per expert, times a sharpness."""

    def __init__(self, features: int, num_experts: int, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.norm = nn.LayerNorm(features, elementwise_affine=False)
        self.prototypes = nn.Parameter(torch.empty(num_experts, features))

    def reset(self, generator: torch.Generator) -> None:
        """Directions without preference."""
        with torch.no_grad():
            self.prototypes.normal_(generator=generator)

    def forward(self, features_BF: Tensor) -> Tensor:
        """(B, F) -> logits (B, E), float32, at most the sharpness."""
        features = F.normalize(self.norm(features_BF).float(), dim=-1)
        prototypes = F.normalize(self.prototypes.float(), dim=-1)
        return self.sharpness * features @ prototypes.t()


def _norm(features: int, kind: GateNorm) -> nn.Module:
    return SampleBatchNorm(features) if kind == "batch" else nn.LayerNorm(features)
