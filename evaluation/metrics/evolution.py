"""Residual of equations of evolution: given and predicted frames in, one value per frame out.

Axes: B samples, T predicted frames, H rows, W columns of the scored grid. That must be the
whole grid of the data, and the equation one of `foundation.physics.evolution`. Derivatives are
those of the frames as they are, so that jumps between parts of a forecast are seen. The truth has
a residual too, that of differences over frames and cells, some per cent on coarse grids.
"""

from functools import partial

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.points import or_inf
from foundation.physics.evolution import EVOLUTIONS, OF_CORPORA, Evolution, Steps, residual_of


def has_evolution(setting: Setting) -> bool:
    """Whether the equation is known, and the frame from which it goes on is given."""
    equation = OF_CORPORA.get(setting.pde)
    if equation is None or setting.channels[:1] != setting.given[:1] or setting.frames < 2:
        return False
    is_line = setting.grid[0] == 1
    return is_line == (EVOLUTIONS[equation].dimensions == 1) and min(setting.grid[-1:]) > 3


def residual_fields(forecast: Forecast) -> Tensor:
    """`u_t - L(u)` at every point, times the duration of the forecast, relative to the truth.

    Returns:
        (B, T, H, W), in the root mean square of the true frames; dimensionless.
    """
    setting = forecast.setting
    equation = EVOLUTIONS[OF_CORPORA[setting.pde]]
    first_BTHW = forecast.given[setting.channels[0]][:, -1:]
    fields = torch.cat([first_BTHW, forecast.pred_BTCHW[:, :, 0]], 1).double()
    if equation.dimensions == 1:
        fields = fields.squeeze(2)
    known = partial(torch.tensor, dtype=torch.float64, device=fields.device)
    dt_B = known([origin.dt_s for origin in forecast.origins])
    sides = [(o.extent[1] - o.extent[0], o.extent[3] - o.extent[2]) for o in forecast.origins]
    coefficients = [_coefficients(origin, equation) for origin in forecast.origins]
    values = equation.derivatives(fields[:, None], Steps(dt_B, known(sides)))[:, 0]
    left = residual_of(equation, values, known(coefficients), fields.shape[2:])
    size_B = forecast.true_BTCHW[:, :, 0].double().flatten(1).square().mean(1).sqrt()
    scale_B = dt_B * (fields.shape[1] - 1) / size_B
    left_BTHW = left[:, 1:].reshape(forecast.pred_BTCHW[:, :, 0].shape)
    return left_BTHW * scale_B[:, None, None, None]


def _coefficients(origin: Origin, equation: Evolution) -> list[float]:
    known = origin.parameters or {}
    if missing := [name for name in equation.parameters if name not in known]:
        raise UserError(
            f"evolution_residual: the trajectories do not say {', '.join(missing)}, which their "
            "equation has; leave the metric out, or build the corpus again"
        )
    return [known[name] for name in equation.parameters]


def residual_per_frame(forecast: Forecast) -> Tensor:
    """Root mean squares of `residual_fields` over cells at which the equation is asked, (B, T)."""
    equation = EVOLUTIONS[OF_CORPORA[forecast.setting.pde]]
    left = residual_fields(forecast)
    shape = (left.shape[1] + 1, *left.shape[-equation.dimensions :])
    asked = equation.inner(shape)[1].flatten().to(left.device)
    return left.flatten(2)[..., asked].square().mean(2).sqrt()


def evolution_residual(forecast: Forecast) -> Tensor:
    """Root mean square of `residual_per_frame` over frames, (B,); inf where not finite."""
    return or_inf(residual_per_frame(forecast).square().mean(1).sqrt())
