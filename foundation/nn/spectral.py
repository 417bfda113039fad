"""Spectral convolution: a map in, its lowest modes mixed by full complex matrices out.

Axes: B samples, S the grid of A axes, D features; K = 2^(A - 1) modes^A kept modes.
The last axis keeps the frequencies 0 .. modes - 1 (the rest of a real field follows by
symmetry), each other one -modes .. modes - 1. Linear, and a function of the field, not
of its grid: the same weights work on any grid of at least 2 modes points.
Source: FNO (ICLR 2021).
"""

import torch
from torch import Tensor, nn

from foundation.nn.fourier import real_form


class SpectralConvolution(nn.Module):
    """One complex D x D matrix per kept mode."""

    def __init__(self, width: int, modes: int, axes: int = 2) -> None:
        super().__init__()
        self.modes = modes
        kept = modes * (2 * modes) ** (axes - 1)
        # Real and imaginary parts apart: there is no complex bfloat16.
        self.weight = nn.Parameter(torch.empty(2, kept, width, width))

    def reset(self, generator: torch.Generator) -> None:
        """Uniform in (0, 1) times 1 / D^2, as published."""
        with torch.no_grad():
            self.weight.uniform_(0.0, self.weight.shape[-1] ** -2, generator=generator)

    def forward(self, x_BSD: Tensor) -> Tensor:
        """(B, *S, D) -> (B, *S, D)."""
        last, others = x_BSD.ndim - 2, range(1, x_BSD.ndim - 2)
        # The last axis first: what is dropped there need not be transformed along the others.
        # FFTs of bfloat16 do not exist; the spectrum is float32 at least.
        wide = torch.promote_types(x_BSD.dtype, torch.float32)
        spectrum = torch.fft.rfft(x_BSD.to(wide), dim=last).narrow(last, 0, self.modes)
        for axis in reversed(others):
            spectrum = self._kept(torch.fft.fft(spectrum, dim=axis), axis)
        spectrum = self._mixed(spectrum.flatten(1, -2)).view_as(spectrum)
        for axis in others:
            spectrum = torch.fft.ifft(self._spread(spectrum, axis, x_BSD.shape[axis]), dim=axis)
        out: Tensor = torch.fft.irfft(spectrum, n=x_BSD.shape[last], dim=last)
        return out.to(x_BSD.dtype)

    def _kept(self, spectrum: Tensor, axis: int) -> Tensor:
        """The lowest modes of both signs."""
        low = spectrum.shape[axis] - self.modes
        parts = [spectrum.narrow(axis, start, self.modes) for start in (0, low)]
        return torch.cat(parts, dim=axis)

    def _spread(self, kept: Tensor, axis: int, size: int) -> Tensor:
        """A spectrum of `size` modes that are zero where they were not kept."""
        shape = list(kept.shape)
        shape[axis] = size - 2 * self.modes
        positive, negative = kept.chunk(2, dim=axis)
        return torch.cat([positive, kept.new_zeros(shape), negative], dim=axis)

    def _mixed(self, modes_BKD: Tensor) -> Tensor:
        """Complex matrix of every mode, as one batch of real products."""
        width = self.weight.shape[-1]
        parts_KB2D = torch.view_as_real(modes_BKD).permute(1, 0, 3, 2)
        x = parts_KB2D.flatten(2).to(self.weight.dtype)
        mixed = torch.bmm(x, real_form(self.weight)).to(parts_KB2D.dtype)
        mixed = mixed.view(*mixed.shape[:2], 2, width).permute(1, 0, 3, 2)
        return torch.view_as_complex(mixed.contiguous())
