"""Spectral convolution: a map in, its lowest modes mixed by full complex matrices out.

Axes: B samples, S the grid of A axes, D features; K = 2^(A - 1) modes^A kept modes.
The last axis keeps the frequencies 0 .. modes - 1 (the rest of a real field follows by
symmetry), each other one -modes .. modes - 1. Linear, and a function of the field, not
of its grid: the same weights work on any grid of at least 2 modes points.
Source: FNO (ICLR 2021).
"""

import itertools
from collections.abc import Sequence

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
        mixed = self._mixed(lowest_modes(x_BSD, self.modes))
        return from_lowest_modes(mixed, x_BSD.shape[1:-1], self.modes).to(x_BSD.dtype)

    def _mixed(self, modes_BKD: Tensor) -> Tensor:
        """Complex matrix of every mode, as one batch of real products."""
        width = self.weight.shape[-1]
        parts_KB2D = torch.view_as_real(modes_BKD).permute(1, 0, 3, 2)
        x = parts_KB2D.flatten(2).to(self.weight.dtype)
        mixed = torch.bmm(x, real_form(self.weight)).to(parts_KB2D.dtype)
        mixed = mixed.view(*mixed.shape[:2], 2, width).permute(1, 0, 3, 2)
        return torch.view_as_complex(mixed.contiguous())


def lowest_modes(x_BSD: Tensor, modes: int) -> Tensor:
    """Complex modes (B, K, D) that are kept of real fields (B, *S, D)."""
    last, others = x_BSD.ndim - 2, range(1, x_BSD.ndim - 2)
    # The last axis first: what is dropped there need not be transformed along the others.
    # FFTs of bfloat16 do not exist; the spectrum is float32 at least.
    wide = torch.promote_types(x_BSD.dtype, torch.float32)
    spectrum = torch.fft.rfft(x_BSD.to(wide), dim=last).narrow(last, 0, modes)
    for axis in reversed(others):
        spectrum = _kept(torch.fft.fft(spectrum, dim=axis), axis, modes)
    lowest: Tensor = spectrum.flatten(1, -2)
    return lowest


def from_lowest_modes(modes_BKD: Tensor, grid: Sequence[int], modes: int) -> Tensor:
    """Real fields (B, *S, D) on a grid S, whose other modes are zero."""
    *others, last = grid
    spectrum = modes_BKD.view(len(modes_BKD), *(2 * modes for _ in others), modes, -1)
    for axis, size in enumerate(others, 1):
        spectrum = torch.fft.ifft(_spread(spectrum, axis, size, modes), dim=axis)
    out: Tensor = torch.fft.irfft(spectrum, n=last, dim=len(grid))
    return out


def _kept(spectrum: Tensor, axis: int, modes: int) -> Tensor:
    """The lowest modes of both signs."""
    parts = [spectrum.narrow(axis, start, modes) for start in (0, spectrum.shape[axis] - modes)]
    return torch.cat(parts, dim=axis)


def _spread(kept: Tensor, axis: int, size: int, modes: int) -> Tensor:
    """A spectrum of `size` modes that are zero where they were not kept."""
    shape = list(kept.shape)
    shape[axis] = size - 2 * modes
    positive, negative = kept.chunk(2, dim=axis)
    return torch.cat([positive, kept.new_zeros(shape), negative], dim=axis)


def wave_vectors(modes: int, axes: int) -> list[tuple[int, ...]]:
    """Wave vector of each kept mode, in waves per side, in the order of the modes."""
    signed = [*range(modes), *range(-modes, 0)]
    return list(itertools.product(*(signed for _ in range(axes - 1)), range(modes)))
