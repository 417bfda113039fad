"""Errors of a forecast: predicted and true frames in, one value per sample out.

Axes: B samples, T predicted frames, C channels, H rows, W columns. A mask
`points_B1CHW` of zeros and ones says which points count; a channel without a
single point is left out of every mean. Pure.
Source: MoE-POT (NeurIPS 2025) for L2RE, PDEBench (NeurIPS 2022) for nRMSE and
the largest error, The Well (NeurIPS 2024) for VRMSE.
Departure: a value that is not finite becomes inf, so a diverged forecast ranks
last instead of vanishing from a mean.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from foundation.physics.norms import relative_l2

Metric = Callable[[Tensor, Tensor, Tensor], Tensor]
MetricName = Literal["l2re", "nrmse", "vrmse", "max_error"]

VRMSE_EPS = 1e-7  # The Well's, in squared units of the field


def scored_points(channel_mask_BC: Tensor, valid_mask_B1HW: Tensor, stride: int = 1) -> Tensor:
    """The points that count: scored channels, fluid cells, every `stride`-th row and column.

    Args:
        channel_mask_BC: 1 for scored channels (B, C).
        valid_mask_B1HW: 1 in the fluid (B, 1, H, W).
        stride: model resolution // native size; the published protocol's `k`.

    Returns:
        0/1 mask (B, 1, C, H, W).
    """
    lattice_HW = torch.zeros_like(valid_mask_B1HW[0, 0])
    lattice_HW[::stride, ::stride] = 1.0
    return (channel_mask_BC[:, :, None, None] * valid_mask_B1HW * lattice_HW)[:, None]


def _mean_over_channels(values: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Mean over axis 1 (C) of the channels that have points; not finite becomes inf."""
    kept_BC = points_B1CHW.amax(dim=(1, 3, 4)) > 0
    kept_BC = kept_BC.reshape(kept_BC.shape + (1,) * (values.ndim - 2))
    mean = torch.where(kept_BC, values, 0.0).sum(1) / kept_BC.sum(1)
    return torch.where(torch.isfinite(mean), mean, torch.inf)


def l2re(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """L2 relative error by the published protocol, the headline of MoE-POT.

    `mean_c ||m (pred - true)||_2 / ||m true||_2`, norms over space and all frames.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    return _mean_over_channels(relative_l2(pred_BTCHW, true_BTCHW, points_B1CHW), points_B1CHW)


def l2re_per_frame(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """L2RE of each frame apart: how the error grows along the rollout.

    `mean_c ||m (pred_t - true_t)||_2 / ||m true_t||_2`, norms over space.

    Returns:
        (B, T), dimensionless; inf where the forecast is not finite.
    """
    frames = pred_BTCHW.shape[1]
    curves = [
        l2re(pred_BTCHW[:, t : t + 1], true_BTCHW[:, t : t + 1], points_B1CHW)
        for t in range(frames)
    ]
    return torch.stack(curves, dim=1)


def nrmse(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Normalised root-mean-square error of PDEBench: a mean over frames of ratios.

    `mean_t mean_c sqrt(<(pred - true)^2>) / sqrt(<true^2>)`, `<>` over counted points.
    It weighs every frame alike, where `l2re` weighs frames by their energy.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    return l2re_per_frame(pred_BTCHW, true_BTCHW, points_B1CHW).mean(1)


def vrmse(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Variance-scaled root-mean-square error, the headline of The Well.

    `mean_t mean_c sqrt(<(pred - true)^2> / (<(true - <true>)^2> + 1e-7))`, `<>` over
    counted points of a frame: 1 for a forecast that knows only the spatial mean.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    num_B1C = points_B1CHW.sum(dim=(3, 4)).clamp_min(1.0)
    mean_BTC = (points_B1CHW * true_BTCHW).sum(dim=(3, 4)) / num_B1C
    deviation = points_B1CHW * (true_BTCHW - mean_BTC[..., None, None])
    variance_BTC = deviation.square().sum(dim=(3, 4)) / num_B1C
    error_BTC = (points_B1CHW * (pred_BTCHW - true_BTCHW)).square().sum(dim=(3, 4)) / num_B1C
    ratio_BC = (error_BTC / (variance_BTC + VRMSE_EPS)).sqrt().mean(1)
    return _mean_over_channels(ratio_BC, points_B1CHW)


def max_error(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Largest absolute error of a rollout.

    `max |m (pred - true)|` over frames, scored channels and points.

    Returns:
        (B,), in the units of the channel that errs most; inf where not finite.
    """
    largest_B = (points_B1CHW * (pred_BTCHW - true_BTCHW)).abs().amax(dim=(1, 2, 3, 4))
    return torch.where(torch.isfinite(largest_B), largest_B, torch.inf)


METRICS: dict[MetricName, Metric] = {
    "l2re": l2re,
    "nrmse": nrmse,
    "vrmse": vrmse,
    "max_error": max_error,
}
assert tuple(METRICS) == get_args(MetricName), "every metric name has its function"
