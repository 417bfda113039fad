"""Residual of steady problems: an answer, its source and its coefficients in, one value out.

Axes: B samples, T frames, H rows, W columns of the scored grid. That must be the
whole grid of the data, and the equation one with an operator (`foundation.physics.residuals`).
The truth's own residual is that of float32 shards, 1e-6 to 1e-4; judge no finer by it.
"""

import torch
from torch import Tensor

from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.points import or_inf
from foundation.physics.residuals import OPERATORS, operator_of, relative_residual

SOURCE = "source"


def has_residual(setting: Setting) -> bool:
    """Whether the equation is known and its source is given."""
    return setting.pde in OPERATORS and SOURCE in setting.given and len(setting.grid) == 2


def equation_residual(forecast: Forecast) -> Tensor:
    """`||A u - f|| / ||f||` of the predicted first channel, mean over frames.

    Returns:
        (B,), dimensionless; 0 for the solution, 1 for zeros, inf where not finite.
    """
    u_BTHW, f_BTHW = forecast.pred_BTCHW[:, :, 0], forecast.given[SOURCE]
    names = forecast.origins[0].parameters or {}
    coefficients = {
        name: u_BTHW.new_tensor([(o.parameters or {})[name] for o in forecast.origins])
        for name in names
    }
    operator = operator_of(forecast.setting.pde, coefficients)
    frames = [
        relative_residual(operator, u_BHW, f_BHW)
        for u_BHW, f_BHW in zip(u_BTHW.unbind(1), f_BTHW.unbind(1), strict=True)
    ]
    return or_inf(torch.stack(frames).mean(0))
