"""Temporal aggregation: features of the context frames in, one feature map out.

Axes: B samples, T frames, h, w patches, D width.
Source: MoE-POT, network item 3: z = sum_t W_t (z_t * cos(gamma t)).
"""

import torch
from torch import Tensor, nn


class TemporalAggregation(nn.Module):
    """Linear in the frames, with learned phases (`exp_mlp`) or without (`mlp`)."""

    def __init__(self, frames: int, width: int, phases: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(frames, width, width))
        self.gamma = nn.Parameter(torch.empty(width)) if phases else None

    def reset(self, generator: torch.Generator) -> None:
        """Normal / (T sqrt(D)); phases spread over twenty octaves."""
        frames, width, _ = self.weight.shape
        with torch.no_grad():
            self.weight.normal_(0.0, 1.0 / (frames * width**0.5), generator=generator)
            if self.gamma is not None:
                self.gamma.copy_(2 ** torch.linspace(-10, 10, width))

    def forward(self, x_BThwD: Tensor) -> Tensor:
        """(B, T, h, w, D) -> (B, h, w, D)."""
        weight_TDD: Tensor = self.weight
        if self.gamma is not None:
            times = torch.linspace(0, 1, x_BThwD.shape[1], device=x_BThwD.device)
            phases_TD = torch.cos(times[:, None] * self.gamma.float()).to(weight_TDD.dtype)
            weight_TDD = weight_TDD * phases_TD[:, :, None]  # cheaper than scaling the features
        frames_last = x_BThwD.permute(0, 2, 3, 1, 4).flatten(3)
        return frames_last @ weight_TDD.flatten(0, 1)
