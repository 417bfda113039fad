"""Divergence of a velocity that should have none: a forecast in, one value per sample out.

Axes: B samples, T predicted frames, H rows (y), W columns (x) of the scored grid.
Central differences on cells whose four neighbours count. The truth is not free of it: the
solver's velocity is so on its own staggered grid, the shards hold means over cells. A floor's
value shows how much that is.
"""

import torch
from torch import Tensor

from evaluation.metrics.forecast import Forecast
from evaluation.metrics.points import or_inf


def divergence(forecast: Forecast) -> Tensor:
    """Divergence of the predicted velocity relative to its gradient.

    `||du/dx + dv/dy|| / sqrt(||du/dx||^2 + ||du/dy||^2 + ||dv/dx||^2 + ||dv/dy||^2)`, norms over
    inner cells and all frames: 0 for an incompressible flow, 1 for a pure expansion along
    one axis, sqrt(2) for one along both.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    assert forecast.setting.solenoidal is not None
    number_u, number_v = map(forecast.setting.channels.index, forecast.setting.solenoidal)
    u_BTHW, v_BTHW = forecast.pred_BTCHW[:, :, number_u], forecast.pred_BTCHW[:, :, number_v]
    dx_B, dy_B = _spacing(forecast)
    inner_B1HW = _inner(forecast.points_B1CHW[:, :, number_u])
    ux, vx = (_slope_x(f, dx_B) * inner_B1HW for f in (u_BTHW, v_BTHW))
    uy, vy = (_slope_y(f, dy_B) * inner_B1HW for f in (u_BTHW, v_BTHW))
    squared_B = (ux + vy).square().sum((1, 2, 3))
    gradient_B = sum(slope.square().sum((1, 2, 3)) for slope in (ux, uy, vx, vy))
    ratio_B = torch.where(squared_B == 0, 0.0, (squared_B / gradient_B).sqrt())
    return torch.where(
        torch.isfinite(forecast.pred_BTCHW).flatten(1).all(1), or_inf(ratio_B), torch.inf
    )


def _spacing(forecast: Forecast) -> tuple[Tensor, Tensor]:
    """Distances between neighbouring points, each (B, 1, 1, 1)."""
    rows, columns = forecast.pred_BTCHW.shape[-2:]
    extents = forecast.pred_BTCHW.new_tensor([o.extent[:4] for o in forecast.origins])
    width_B, height_B = extents[:, 1] - extents[:, 0], extents[:, 3] - extents[:, 2]
    return (width_B / columns).reshape(-1, 1, 1, 1), (height_B / rows).reshape(-1, 1, 1, 1)


def _slope_x(f_BTHW: Tensor, dx_B: Tensor) -> Tensor:
    return (f_BTHW[..., 1:-1, 2:] - f_BTHW[..., 1:-1, :-2]) / (2 * dx_B)


def _slope_y(f_BTHW: Tensor, dy_B: Tensor) -> Tensor:
    return (f_BTHW[..., 2:, 1:-1] - f_BTHW[..., :-2, 1:-1]) / (2 * dy_B)


def _inner(points_B1HW: Tensor) -> Tensor:
    """1 where a cell and its four neighbours count (B, 1, H - 2, W - 2)."""
    p = points_B1HW
    beside = p[..., 1:-1, 2:] * p[..., 1:-1, :-2] * p[..., 2:, 1:-1] * p[..., :-2, 1:-1]
    return p[..., 1:-1, 1:-1] * beside
