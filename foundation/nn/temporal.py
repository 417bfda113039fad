"""Temporal aggregation: features of the context frames in, one feature map out.

Axes: B samples, T frames, h, w patches, F features before, D width after.
Source: MoE-POT, network item 3: z = sum_t W_t (z_t * cos(gamma t)), with
z_t = expand(f_t) + position. All of it is linear in f, so W_t and `expand` are
multiplied first: exact, and D / F times less work per sample.
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

    def forward(self, features_BhwTF: Tensor, expand: nn.Linear, position_1hwD: Tensor) -> Tensor:
        """Aggregate frames that are still to be expanded and placed.

        Args:
            features_BhwTF: (B, h, w, T, F).
            expand: 1 x 1 map F -> D of every frame.
            position_1hwD: position embedding, shared by the frames.

        Returns:
            (B, h, w, D).
        """
        weight_TDD = self._phased()
        fused_TFD = expand.weight.t() @ weight_TDD
        shared_1hwD = (position_1hwD + expand.bias) @ weight_TDD.sum(0)
        return features_BhwTF.flatten(3) @ fused_TFD.flatten(0, 1) + shared_1hwD

    def _phased(self) -> Tensor:
        """Weights with the frames' phases multiplied in (T, D, D)."""
        if self.gamma is None:
            return self.weight
        times = torch.linspace(0, 1, self.weight.shape[0], device=self.weight.device)
        phases_TD = torch.cos(times[:, None] * self.gamma.float())
        return self.weight * phases_TD.to(self.weight.dtype)[:, :, None]
