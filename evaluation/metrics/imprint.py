"""The patch grid in a forecast's error: predicted and true frames in, one ratio per sample out.

Axes: B samples, T predicted frames, C channels, H rows, W columns of the scored grid.
A network that maps patches of P cells leaves their pattern in what it predicts, modulated by what
it maps: energy of the error near the wave number of the patches, sides / P, and its multiples. It
is compared with the energy of all waves that lie further from these, so that 1 is an error that
knows nothing of any patches, white error among them; of smooth errors the ratio is lower, since
energy falls off convexly. The measure is ours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

PERIODS = (2, 4, 8)  # cells along a side of a patch
_NEAR = 0.25  # of the patches' wave number: how far patterns are modulated
LEAST_CELLS = 32  # along an axis: the multiples of the longest period lie apart


def grid_imprint(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Mean energy of waves near multiples of a patch's wave number, in that of the others.

    The largest over patches of 2, 4 and 8 cells. Every frame and channel counts the same. Errors
    are windowed, since sides that do not meet would have energy along the axes.

    Returns:
        (B,), dimensionless; 0 where nothing is wrong, nan where the forecast is not finite.
    """
    energy_BHW = _relative_energy(points_B1CHW * (pred_BTCHW - true_BTCHW))
    ratios = []
    for period in PERIODS:
        near_HW, far_HW = _near_and_far(energy_BHW.shape[1:], period)
        near_B, far_B = energy_BHW[:, near_HW].mean(1), energy_BHW[:, far_HW].mean(1)
        ratios.append(torch.where(near_B == 0, 0.0, near_B / far_B))
    return torch.stack(ratios).amax(0)


def _relative_energy(error_BTCHW: Tensor) -> Tensor:
    """Energy of every wave (B, H, W), each frame's and channel's in units of its own sum."""
    rows, columns = (
        torch.hann_window(cells, dtype=torch.float64, device=error_BTCHW.device)
        for cells in error_BTCHW.shape[3:]
    )
    window_HW = rows[:, None] * columns
    total_BHW = torch.zeros_like(error_BTCHW[:, 0, 0], dtype=torch.float64)
    for frame_BCHW in error_BTCHW.unbind(1):  # one frame at a time: spectra are large
        frame = frame_BCHW.double()
        frame = frame - frame.mean((2, 3), keepdim=True)
        energy_BCHW = torch.fft.fft2(window_HW * frame).abs().square()
        whole = energy_BCHW.sum((2, 3), keepdim=True)
        total_BHW += torch.where(whole == 0, 0.0, energy_BCHW / whole).sum(1)
    return total_BHW


def _near_and_far(grid: Sequence[int], period: int) -> tuple[Tensor, Tensor]:
    """Which waves (H, W) lie near a multiple of the patches' wave number, and which do not.

    Long waves, up to half of it, are neither: there what is forecast lies.
    """
    # Wave numbers along each axis, in those of the patches.
    rows, columns = (torch.fft.fftfreq(cells, 1 / period) for cells in grid)
    from_multiple = torch.maximum(
        (rows - rows.round()).abs()[:, None], (columns - columns.round()).abs()
    )
    is_short = torch.maximum(rows.abs()[:, None], columns.abs()) > 0.5
    near = from_multiple <= _NEAR
    return near & is_short, ~near & is_short


def is_measured(grid: tuple[int, ...]) -> bool:
    """Whether a grid is a plane on which the patches' waves lie apart."""
    return len(grid) == 2 and all(n >= LEAST_CELLS and n % max(PERIODS) == 0 for n in grid)
