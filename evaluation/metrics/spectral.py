"""Errors by scale: predicted and true frames in, one error per band of wave numbers out.

Axes: B samples, T predicted frames, C channels, H rows, W columns of the scored
grid; S shells, whole wave numbers |k| = floor(sqrt(kx^2 + ky^2)), k in cycles
per side of the domain. Points that do not count are zero in both fields.
Source: PDEBench (NeurIPS 2022), fRMSE, with the bands of its text: k of 0 to 4,
5 to 12, and 13 upwards.
Departure: relative to the truth's own amplitude in the band, so that 1 is a
forecast that lacks these scales, with a floor for bands that are all but empty.
"""

from typing import Literal

import torch
from torch import Tensor

from evaluation.metrics.points import mean_over_channels
from foundation.physics.norms import space

Band = Literal["low", "mid", "high"]
Bands = dict[Band, Tensor]

FIRST_SHELL: dict[Band, int] = {"low": 0, "mid": 5, "high": 13}
# A band with less than a millionth of the truth's energy is measured against that: round-off
# of float32 would else be divided by next to nothing.
SMALLEST_SHARE = 1e-6


def band_errors(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Bands:
    """Relative spectral error of every band.

    `mean_c ||F(pred - true)||_band / sqrt(||F true||_band^2 + 1e-6 ||F true||^2)`, norms over
    the wave numbers of the band and all frames, F the two-dimensional Fourier transform.

    Returns:
        Per band (B,), dimensionless; inf where the forecast is not finite.
    """
    true = points_B1CHW * true_BTCHW
    error_BCS = shell_energy(points_B1CHW * (pred_BTCHW - true_BTCHW))
    true_BCS = shell_energy(true)
    least_BC = SMALLEST_SHARE * true_BCS.sum(-1)
    errors: Bands = {}
    ends = [*list(FIRST_SHELL.values())[1:], error_BCS.shape[-1]]
    for (band, first), end in zip(FIRST_SHELL.items(), ends, strict=True):
        missed_BC = error_BCS[..., first:end].sum(-1)
        present_BC = true_BCS[..., first:end].sum(-1) + least_BC
        ratio_BC = torch.where(missed_BC == 0, 0.0, (missed_BC / present_BC).sqrt())
        errors[band] = mean_over_channels(ratio_BC, points_B1CHW, least_BC > 0)
    return errors


def shell_energy(fields_BTCHW: Tensor) -> Tensor:
    """Energy of every shell of wave numbers, summed over frames.

    Returns:
        (B, C, S), squared units of the field, S the grid's shells; their sum is
        the sum of squares of the field (Parseval).
    """
    over = space(fields_BTCHW)
    shells = shell_of_modes(*fields_BTCHW.shape[3:]).flatten().to(fields_BTCHW.device)
    energy = fields_BTCHW.new_zeros(*fields_BTCHW.shape[0:3:2], int(shells.max()) + 1)
    for frame_BCHW in fields_BTCHW.unbind(1):  # one frame at a time: spectra are large
        waves = torch.fft.fftn(frame_BCHW.float(), dim=[axis - 1 for axis in over], norm="ortho")
        modes = waves.abs().square().flatten(2)
        energy.index_add_(2, shells, modes.to(energy.dtype))
    return energy


def shell_of_modes(*grid: int) -> Tensor:
    """Shell of every mode of a grid, int64 (*S), in the order of the transform."""
    size = torch.zeros((), dtype=torch.float64)
    for cells in grid:
        size = torch.hypot(size[..., None], torch.fft.fftfreq(cells, 1 / cells, dtype=size.dtype))
    return size.floor().long()


def resolves(band: Band, grid: tuple[int, ...]) -> bool:
    """Whether a grid has wave numbers of this band along one of its axes."""
    return max(grid) // 2 >= FIRST_SHELL[band]
