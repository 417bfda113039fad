"""Spectral convolution: a map in, its lowest modes mixed by full complex matrices out.

Axes: B samples, H rows, W columns, D features; K = 2 modes^2 kept modes.
Rows keep the frequencies -modes .. modes - 1, columns 0 .. modes - 1 (the rest
of a real field follows by symmetry). Linear, and a function of the field, not
of its grid: the same weights work on any grid of at least 2 modes points.
Source: FNO (ICLR 2021).
"""

import torch
from torch import Tensor, nn

from foundation.nn.fourier import real_form


class SpectralConvolution(nn.Module):
    """One complex D x D matrix per kept mode."""

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        # Real and imaginary parts apart: there is no complex bfloat16.
        self.weight = nn.Parameter(torch.empty(2, 2 * modes * modes, width, width))

    def reset(self, generator: torch.Generator) -> None:
        """Uniform in (0, 1) times 1 / D^2, as published."""
        with torch.no_grad():
            self.weight.uniform_(0.0, self.weight.shape[-1] ** -2, generator=generator)

    def forward(self, x_BHWD: Tensor) -> Tensor:
        """(B, H, W, D) -> (B, H, W, D)."""
        batch, rows, columns, width = x_BHWD.shape
        low, modes = rows - self.modes, self.modes
        # Columns first: what is dropped there need not be transformed along the rows.
        # FFTs of bfloat16 do not exist; the spectrum is float32 at least.
        wide = torch.promote_types(x_BHWD.dtype, torch.float32)
        by_column = torch.fft.rfft(x_BHWD.to(wide), dim=2)[:, :, :modes]
        spectrum = torch.fft.fft(by_column, dim=1)
        kept = torch.cat([spectrum[:, :modes], spectrum[:, low:]], dim=1)
        mixed = self._mixed(kept.flatten(1, 2)).view_as(kept)
        gap = mixed.new_zeros(batch, low - modes, modes, width)
        spectrum = torch.cat([mixed[:, :modes], gap, mixed[:, modes:]], dim=1)
        by_column = torch.fft.ifft(spectrum, dim=1)
        out: Tensor = torch.fft.irfft(by_column, n=columns, dim=2)
        return out.to(x_BHWD.dtype)

    def _mixed(self, modes_BKD: Tensor) -> Tensor:
        """Complex matrix of every mode, as one batch of real products."""
        width = self.weight.shape[-1]
        parts_KB2D = torch.view_as_real(modes_BKD).permute(1, 0, 3, 2)
        x = parts_KB2D.flatten(2).to(self.weight.dtype)
        mixed = torch.bmm(x, real_form(self.weight)).to(parts_KB2D.dtype)
        mixed = mixed.view(*mixed.shape[:2], 2, width).permute(1, 0, 3, 2)
        return torch.view_as_complex(mixed.contiguous())
