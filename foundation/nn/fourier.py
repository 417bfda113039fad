"""Fourier layer: features in, features mixed over space in the spectrum out.

Axes: B samples, H rows, W columns of patches, D width, G heads, S = D / G; M rows and K columns
of kept modes.
A complex two-layer perceptron acts on every kept mode, head by head; GELU on
real and imaginary parts apart. The layer adds its own input.
Source: MoE-POT and DPOT (AFNO mixing without soft thresholding). Only
`[:modes, :modes]` of the half spectrum are kept, as published: negative
frequencies along H beyond that corner are dropped once `modes` < H.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundation.nn.constants import constant, kept
from foundation.nn.transform import from_modes, to_modes


class FourierLayer(nn.Module):
    """Spectral mixing with block-diagonal complex weights."""

    def __init__(self, width: int, heads: int, modes: int, side: int | None = None) -> None:
        """Make the layer.

        Args:
            width: of the features.
            heads: that it is divided into.
            modes: kept along each axis.
            side: patches along each axis of the grid that `modes` are counted on; on another one
                waves of the same lengths are kept. None: the same number on all.
        """
        super().__init__()
        self.side = side
        size = width // heads
        self.heads, self.modes = heads, modes
        self.weight_in = nn.Parameter(torch.empty(2, heads, size, size))
        self.bias_in = nn.Parameter(torch.empty(2, heads, size))
        self.weight_out = nn.Parameter(torch.empty(2, heads, size, size))
        self.bias_out = nn.Parameter(torch.empty(2, heads, size))

    def reset(self, generator: torch.Generator) -> None:
        """Uniform in (0, 1) times 1 / S^2, as published."""
        scale = 1.0 / self.weight_in.shape[-1] ** 2
        for parameter in (self.weight_in, self.bias_in, self.weight_out, self.bias_out):
            with torch.no_grad():
                parameter.uniform_(0.0, scale, generator=generator)

    def forward(self, x_BHWD: Tensor) -> Tensor:
        """(B, H, W, D) -> (B, H, W, D)."""
        _, rows, columns, width = x_BHWD.shape
        kept_rows = min(self._modes_on(rows), rows)
        kept_columns = min(self._modes_on(columns), columns // 2 + 1)
        size = width // self.heads
        # The spectrum is float32 whatever the weights are; the perceptron is theirs.
        spectrum_BM2KD = to_modes(x_BHWD.float(), kept_rows, kept_columns)
        by_head = spectrum_BM2KD.view(*spectrum_BM2KD.shape[:4], self.heads, size)
        by_head = by_head.permute(4, 0, 1, 3, 2, 5)
        # (G, modes, 2 S) with real parts first
        x = by_head.reshape(self.heads, -1, 2 * size).to(self.weight_in.dtype)
        x = F.gelu(_affine(x, self.weight_in, self.bias_in))
        x = _affine(x, self.weight_out, self.bias_out)
        mixed = x.view(by_head.shape).permute(1, 2, 4, 3, 0, 5).float().flatten(-2)
        return x_BHWD + from_modes(mixed, rows, columns).to(x_BHWD.dtype)

    def _modes_on(self, patches: int) -> int:
        """Modes as short as those that are kept on the grid they are counted on."""
        return self.modes if self.side in (None, patches) else self.modes * patches // self.side


def _affine(x_GM2S: Tensor, weight_2GSS: Tensor, bias_2GS: Tensor) -> Tensor:
    """Complex affine map on stacked (real, imaginary) parts, head by head."""
    bias = bias_2GS.transpose(0, 1).flatten(1)
    return torch.baddbmm(bias[:, None], x_GM2S, real_form(weight_2GSS))


def real_form(weight_2GSS: Tensor) -> Tensor:
    """Complex matrices (2, G, S, S) as real ones (G, 2 S, 2 S) for stacked parts on the left.

    [[real, imaginary], [-imaginary, real]], by one product whose factors are 1, 0 and -1: exact,
    and four launches with its gradient.
    """
    _, heads, size, _ = weight_2GSS.shape
    signs = _signs(weight_2GSS.device, weight_2GSS.dtype)
    blocks = (signs @ weight_2GSS.flatten(1)).view(2, 2, heads, size, size)
    return blocks.permute(2, 0, 3, 1, 4).reshape(heads, 2 * size, 2 * size)


@constant
def _signs(device: torch.device, dtype: torch.dtype) -> Tensor:
    return kept(_block_signs, device, dtype)


def _block_signs() -> Tensor:
    """Of the real and the imaginary part in each of the four blocks (4, 2)."""
    return torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 0.0]])
