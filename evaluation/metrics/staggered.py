"""Laws of a velocity that stands on faces: a forecast in, one value per sample out.

Axes: B samples, T predicted frames, S the scored grid, that of the stored data. A component stands
on the lower face of its cell along its own axis; every axis closes on itself, as in the shards.
Divergence is exact on this grid: the truth has what its storage in float32 left, and so has a
forecast that has none by construction.
"""

import torch
from torch import Tensor

from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.points import or_inf

_AXES = "xyz"


def is_staggered(setting: Setting) -> bool:
    """Whether there is a component on the faces along every axis of the grid."""
    return set(setting.staggered.values()) == set(_AXES[: len(setting.grid)])


def face_divergence(forecast: Forecast) -> Tensor:
    """Divergence in the fluid cells relative to what the faces along each axis let in or out.

    `||div v|| / sqrt(sum_a ||d v_a / d a||^2)`, norms over fluid cells and all frames: 0 for an
    incompressible flow, 1 for one along a single axis that nothing balances.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    slopes = _slopes(forecast)
    inside = _fluid(forecast)
    total = sum(slopes)
    assert isinstance(total, Tensor)
    squared_B = (total * inside).square().flatten(1).sum(1)
    slopes_B = sum((slope * inside).square().flatten(1).sum(1) for slope in slopes)
    return or_inf(torch.where(squared_B == 0, 0.0, (squared_B / slopes_B).sqrt()))


def mean_flow_error(forecast: Forecast) -> Tensor:
    """Error of the mean velocity over the whole box, solids included, relative to the truth's.

    `||<v> - <v*>|| / ||<v*>||`, norms over components and frames. The mean along an axis is the
    flow through any of its cross-sections.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    numbers = [forecast.setting.channels.index(name) for name in forecast.setting.staggered]
    pred, true = (
        fields[:, :, numbers].flatten(3).double().mean(3).flatten(1)
        for fields in (forecast.pred_BTCHW, forecast.true_BTCHW)
    )
    error_B = (pred - true).norm(dim=1)
    return or_inf(torch.where(error_B == 0, 0.0, error_B / true.norm(dim=1)))


def _slopes(forecast: Forecast) -> list[Tensor]:
    """Difference of each component between the faces of a cell, over its length, (B, T, *S)."""
    setting, pred = forecast.setting, forecast.pred_BTCHW.double()
    slopes = []
    for name, axis in setting.staggered.items():
        along = _AXES.index(axis)
        component = pred[:, :, setting.channels.index(name)]
        step = component.roll(-1, -1 - along) - component
        sides = [o.extent[2 * along + 1] - o.extent[2 * along] for o in forecast.origins]
        length_B = pred.new_tensor(sides) / setting.grid[-1 - along]
        slopes.append(step / length_B.view(-1, *(1,) * (step.ndim - 1)))
    return slopes


def _fluid(forecast: Forecast) -> Tensor:
    """1 in fluid cells (B, 1, *S)."""
    first = next(iter(forecast.setting.staggered))
    return forecast.points_B1CHW[:, :, forecast.setting.channels.index(first)]
