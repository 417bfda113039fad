"""Error at the sides of the domain: a forecast in, one value per sample out.

Axes: B samples, T predicted frames, C channels, H rows (y, upwards), W columns (x).
Source: PDEBench (NeurIPS 2022), bRMSE. Departure: relative to the truth inside the
whole domain, since at a wall at rest the truth is zero.
"""

import torch
from torch import Tensor

from evaluation.metrics.forecast import Forecast
from evaluation.metrics.points import mean_over_channels


def boundary_error(forecast: Forecast) -> Tensor:
    """Error in the cells at the sides, in the scale of L2RE.

    `mean_c sqrt(<(pred - true)^2>_sides) / sqrt(<true^2>)`, the mean `<>` over counted points
    and all frames; sides that are periodic or uniform are none. An error that is spread
    evenly over the domain gives the value of L2RE.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    points = forecast.points_B1CHW
    at_sides = points * _ring(points, forecast.setting.sides)
    error_BC = (at_sides * (forecast.pred_BTCHW - forecast.true_BTCHW)).square().sum((1, 3, 4))
    true_BC = (points * forecast.true_BTCHW).square().sum((1, 3, 4))
    squared_BC = (error_BC / _count(at_sides)) / (true_BC / _count(points))
    ratio_BC = torch.where(error_BC == 0, 0.0, squared_BC.sqrt())
    return mean_over_channels(ratio_BC, at_sides, true_BC > 0)


def _count(points_B1CHW: Tensor) -> Tensor:
    return points_B1CHW.sum((1, 3, 4)).clamp_min(1.0)


def _ring(like_B1CHW: Tensor, sides: tuple[str, ...]) -> Tensor:
    """1 in the outermost cells of the sides named (H, W)."""
    ring_HW = torch.zeros_like(like_B1CHW[0, 0, 0])
    cells = {"left": (..., 0), "right": (..., -1), "bottom": (0,), "top": (-1,)}
    for side in sides:
        ring_HW[cells[side]] = 1.0
    return ring_HW
