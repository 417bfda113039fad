"""Errors relative to the truth: predicted and true frames in, one value per sample out.

Axes: B samples, T predicted frames, C channels, H rows, W columns; `points_B1CHW`
says which points count (see `points`). Pure.
Source: MoE-POT (NeurIPS 2025) for L2RE, PDEBench (NeurIPS 2022) for nRMSE and
the largest error, The Well (NeurIPS 2024) for VRMSE.
"""

import torch
from torch import Tensor

from evaluation.metrics.points import mean_over_channels, or_inf
from foundation.physics.norms import relative_l2_and_norm, space

VRMSE_EPS = 1e-7  # The Well's, in squared units of the field


def l2re(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """L2 relative error by the published protocol, the headline of MoE-POT.

    `mean_c ||m (pred - true)||_2 / ||m true||_2`, norms over space and all frames.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    error_BC, has_norm_BC = relative_l2_and_norm(pred_BTCHW, true_BTCHW, points_B1CHW)
    return mean_over_channels(error_BC, points_B1CHW, has_norm_BC)


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


def vrmse(
    pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor, *, unbiased: bool = False
) -> Tensor:
    """Variance-scaled root-mean-square error, the headline of The Well.

    `mean_t mean_c sqrt(<(pred - true)^2> / (<(true - <true>)^2> + 1e-7))`, `<>` over
    counted points of a frame: 1 for a forecast that knows only the spatial mean. Departure: a
    channel that is constant over a frame has no spread and is left out of it.

    Args:
        pred_BTCHW, true_BTCHW, points_B1CHW: as above.
        unbiased: divide the variance by N - 1, as The Well's program does, instead of N; of N
            points the value is then sqrt(1 - 1/N) of the other.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    over = space(true_BTCHW)
    num_B1C = points_B1CHW.sum(over).clamp_min(1.0)
    mean_BTC = (points_B1CHW * true_BTCHW).sum(over) / num_B1C
    deviation = points_B1CHW * (true_BTCHW - mean_BTC[..., *(None,) * len(over)])
    freedom_B1C = (num_B1C - 1).clamp_min(1.0) if unbiased else num_B1C
    variance_BTC = deviation.square().sum(over) / freedom_B1C
    error_BTC = (points_B1CHW * (pred_BTCHW - true_BTCHW)).square().sum(over) / num_B1C
    varies_BTC = _varies(true_BTCHW, points_B1CHW)
    ratio_BTC = (error_BTC / (variance_BTC + VRMSE_EPS)).sqrt() * varies_BTC
    frames_BC = varies_BTC.sum(1)
    ratio_BC = ratio_BTC.mean(1) * (ratio_BTC.shape[1] / frames_BC.clamp(min=1))
    return mean_over_channels(ratio_BC, points_B1CHW, frames_BC > 0)


def _varies(true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Whether counted points of a frame differ at all, (B, T, C); of a NaN they do."""
    over = space(true_BTCHW)
    counts = points_B1CHW > 0
    low = torch.where(counts, true_BTCHW, torch.inf).amin(over)
    return low != torch.where(counts, true_BTCHW, -torch.inf).amax(over)


def max_error(pred_BTCHW: Tensor, true_BTCHW: Tensor, points_B1CHW: Tensor) -> Tensor:
    """Largest absolute error of a rollout.

    `max |m (pred - true)|` over frames, scored channels and points.

    Returns:
        (B,), in the units of the channel that errs most; inf where not finite.
    """
    largest_B = (points_B1CHW * (pred_BTCHW - true_BTCHW)).abs().flatten(1).amax(1)
    return or_inf(largest_B)
