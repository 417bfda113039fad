"""Laws of a velocity that stands on faces: a forecast in, one value per sample out.

Axes: B samples, T predicted frames, S the scored grid, that of the stored data. A component stands
on the lower face of its cell along its own axis; every axis closes on itself, as in the shards.
Divergence is exact on this grid: the truth has what its storage in float32 left, and so has a
forecast that has none by construction, unless it is judged with all of its digits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.points import or_inf
from foundation.physics.staggered import along_walls

_AXES = "xyz"
_SIDES = (("left", "right"), ("bottom", "top"), ("front", "back"))


def is_staggered(setting: Setting) -> bool:
    """Whether there is a component on the faces along every axis of the grid."""
    return set(setting.staggered.values()) == set(_AXES[: len(setting.grid)])


def has_walls(setting: Setting) -> bool:
    """Whether such a velocity is that of a box, where it may run along walls or solids."""
    return is_staggered(setting) and len(setting.grid) == len(_AXES)


def face_divergence(forecast: Forecast) -> Tensor:
    """Divergence in the fluid cells relative to what the faces along each axis let in or out.

    `||div v|| / sqrt(sum_a ||d v_a / d a||^2)`, norms over fluid cells and all frames: 0 for an
    incompressible flow, 1 for one along a single axis that nothing balances.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    slopes = _slopes(forecast, forecast.pred_BTCHW)
    inside = _fluid(forecast)
    total = sum(slopes)
    assert isinstance(total, Tensor)
    squared_B = (total * inside).square().flatten(1).sum(1)
    slopes_B = sum((slope * inside).square().flatten(1).sum(1) for slope in slopes)
    return or_inf(torch.where(squared_B == 0, 0.0, (squared_B / slopes_B).sqrt()))


def max_divergence(forecast: Forecast) -> Tensor:
    """Largest divergence in a fluid cell, for a flow of rms speed 1 in a box of side 1.

    `max |div v| L / rms |v|` of the prediction as the model gave it, in float64 if it did: L the
    longest side of the box, the mean over fluid cells and all frames. 0 of a flow at rest.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.

    Raises:
        UserError: the digits are gone, as of stored predictions.
    """
    if forecast.made_BTCHW is None:
        raise UserError(
            "max_divergence is of the model's own float64, which no stored prediction holds; "
            "evaluate the checkpoint again, or ask for max_divergence_stored"
        )
    return _largest_divergence(forecast, forecast.made_BTCHW)


def max_divergence_stored(forecast: Forecast) -> Tensor:
    """The same of the prediction in float32, as a file would keep it."""
    return _largest_divergence(forecast, forecast.pred_BTCHW)


def slip(forecast: Forecast) -> Tensor:
    """Speed along walls without slip, half a cell away, relative to the truth's rms speed.

    `sqrt(2 <v_t^2>) / rms |v*|`: the mean over all tangential components on faces that are half a
    cell from a wall or a solid (`foundation.physics.staggered.along_walls`), and all frames; twice,
    as there are two of them. 1 for a plug flow, 0 without walls. A flow that clings to its walls
    has what shear makes of half a cell: see `slip_exact`.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    return or_inf(_slip(forecast, forecast.pred_BTCHW))


def slip_exact(forecast: Forecast) -> Tensor:
    """The same of the truth: not 0, as half a cell is no wall."""
    return _slip(forecast, forecast.true_BTCHW)


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


def _largest_divergence(forecast: Forecast, fields: Tensor) -> Tensor:
    slopes = _slopes(forecast, fields)
    total = sum(slopes)
    assert isinstance(total, Tensor)
    largest_B = (total * _fluid(forecast)).abs().flatten(1).amax(1)
    lower = range(0, 2 * len(slopes), 2)
    sides = [[o.extent[i + 1] - o.extent[i] for i in lower] for o in forecast.origins]
    longest_B = total.new_tensor(sides).amax(1)
    relative_B = largest_B * longest_B / _rms_speed(forecast, fields)
    return or_inf(torch.where(largest_B == 0, 0.0, relative_B))


def _slip(forecast: Forecast, fields: Tensor) -> Tensor:
    velocity = _velocity(forecast, fields)
    fluid = _fluid(forecast)[:, 0].double()
    walls, sticky = _walls_of(forecast.origins, fluid)
    beside = along_walls(fluid, walls, sticky)[:, None]
    squared_B = (velocity * beside).square().flatten(1).sum(1)
    count_B = (beside.flatten(1).sum(1) * velocity.shape[1]).clamp_min(1)
    relative_B = (2 * squared_B / count_B).sqrt() / _rms_speed(forecast, forecast.true_BTCHW)
    return torch.where(squared_B == 0, 0.0, relative_B)


def _velocity(forecast: Forecast, fields: Tensor) -> Tensor:
    """Components along x, y, z in float64, (B, T, 3, *S)."""
    setting = forecast.setting
    named = {axis: setting.channels.index(name) for name, axis in setting.staggered.items()}
    return fields[:, :, [named[axis] for axis in _AXES[: len(setting.grid)]]].double()


def _rms_speed(forecast: Forecast, fields: Tensor) -> Tensor:
    """Root mean square of the speed over fluid cells and all frames (B,)."""
    velocity, fluid = _velocity(forecast, fields), _fluid(forecast)
    cells_B = fluid.flatten(1).sum(1) * velocity.shape[1]
    return (velocity.square().flatten(1).sum(1) / cells_B).sqrt()


def _walls_of(origins: Sequence[Origin], like: Tensor) -> tuple[Tensor, Tensor]:
    """Across which axes there are walls (B, 3), and whether each is without slip (B, 3, 2)."""
    kinds = [
        [[(o.boundary or {}).get(side, "periodic") for side in pair] for pair in _SIDES]
        for o in origins
    ]
    walls = [[any(kind != "periodic" for kind in pair) for pair in own] for own in kinds]
    sticky = [[[kind == "no_slip" for kind in pair] for pair in own] for own in kinds]
    return like.new_tensor(walls), like.new_tensor(sticky)


def _slopes(forecast: Forecast, fields: Tensor) -> list[Tensor]:
    """Difference of each component between the faces of a cell, over its length, (B, T, *S)."""
    setting, pred = forecast.setting, fields.double()
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
