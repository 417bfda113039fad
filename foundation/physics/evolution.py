"""Equations of evolution on a grid of frames and cells: fields in, derivatives and residuals out.

    u_t = L(u)

Axes: B samples, J fields of a sample, D derivatives, T frames, S cells of a line (W,) or a plane
(H, W), R rows of conditions at the ends. An equation has two parts: derivatives, linear in the
field, so that those of a sum of basis fields are the sum of theirs; and a residual, any function
of the derivatives in one point. Time by central differences over frames, one-sided at the last;
in the first frame, which is given, nothing is asked. Space by Fourier where it is periodic, else
by central differences in all cells but those at the ends, where conditions hold instead. Cells
are centred, as in `data_shards.generate`.
Sources: diffusion with sorption PDEBench (arXiv:2210.07182), whose data leave at the right end
with u = -D u_x; PI-HC-MoE (ICLR 2024) has u = D u_x there, `diffusion_sorption_published`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from data_shards.errors import UserError
from foundation.physics.operators import derivative, from_waves, laplacian, to_waves, wave_numbers

_OFFSET = 1e-6  # under the power of the isotherm, as in the generator


@dataclass(frozen=True)
class Steps:
    """Between frames and cells, float64.

    Attributes:
        dt_B: seconds between frames.
        lengths_BA: of the sides along x[, y].
    """

    dt_B: Tensor
    lengths_BA: Tensor


@dataclass(frozen=True)
class Ends:
    """Conditions that are affine in the field: they hold where `rows - levels` is zero.

    Attributes:
        rows_BJR: left sides, of every field.
        levels_R: right sides.
        points_R: the point of frames and cells, flattened, to which a row belongs.
    """

    rows_BJR: Tensor
    levels_R: Tensor
    points_R: Tensor


@dataclass(frozen=True)
class Evolution:
    """One equation.

    Attributes:
        dimensions: of space.
        parameters: names of its coefficients, in the order of `residual`.
        derivatives: fields (B, J, T, *S) and steps in, (B, J, D, T, *S) out.
        residual: u_t - L(u), per second, of derivatives (D, ...) and coefficients, which
            broadcast against a derivative.
        is_mean_free: whether the mean over space is zero at all times.
        source: what drives it, (B, *S), of coefficients (B, P) and a grid; taken off u_t.
        ends: conditions of fields (B, J, T, *S), steps and coefficients (B, P).
    """

    dimensions: int
    parameters: tuple[str, ...]
    derivatives: Callable[[Tensor, Steps], Tensor]
    residual: Callable[[Tensor, Sequence[Tensor]], Tensor]
    is_mean_free: bool = False
    source: Callable[[Tensor, Sequence[int]], Tensor] | None = None
    ends: Callable[[Tensor, Steps, Tensor], Ends] | None = None

    def inner(self, shape: Sequence[int]) -> Tensor:
        """Points of (T, *S) at which the equation is asked, boolean."""
        asked = torch.ones(tuple(shape), dtype=torch.bool)
        asked[0] = False
        if self.ends is not None:
            asked[:, 0] = asked[:, -1] = False
        return asked


def by_time(fields: Tensor, dt_B: Tensor, dimensions: int) -> Tensor:
    """u_t of (B, J, T, *S), of second order; the first frame's is one-sided, too."""
    frames = fields.movedim(-dimensions - 1, 0)
    first = -1.5 * frames[:1] + 2 * frames[1:2] - 0.5 * frames[2:3]
    last = 1.5 * frames[-1:] - 2 * frames[-2:-1] + 0.5 * frames[-3:-2]
    changes = torch.cat([first, (frames[2:] - frames[:-2]) / 2, last])
    return changes.movedim(0, -dimensions - 1) / _beside(dt_B, fields)


def _beside(values_B: Tensor, fields: Tensor) -> Tensor:
    return values_B.view(-1, *(1,) * (fields.ndim - 1))


def _burgers_derivatives(fields: Tensor, steps: Steps) -> Tensor:
    """u, u_t, u_x, u_xx on a periodic line."""
    length = _beside(steps.lengths_BA[:, 0], fields)
    slope = derivative(fields, (1,), (1.0,)) / length
    curvature = derivative(fields, (2,), (1.0,)) / length**2
    return torch.stack([fields, by_time(fields, steps.dt_B, 1), slope, curvature], 2)


def _burgers_residual(values: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    u, rate, slope, curvature = values.unbind(0)
    advection, viscosity = coefficients
    return rate + advection * u * slope - viscosity * curvature


def _vorticity_derivatives(fields: Tensor, steps: Steps) -> Tensor:
    """w_t, w_x, w_y, lap w, u, v on a periodic square of side one; u = psi_y, -lap psi = w.

    Raises:
        UserError: the square has another side.
    """
    if not torch.allclose(steps.lengths_BA, torch.ones_like(steps.lengths_BA)):
        raise UserError(
            f"vorticity: sides of {steps.lengths_BA[0].tolist()}; wanted the unit square, scale "
            "the fields and their viscosity"
        )
    lengths = (1.0, 1.0)
    kx, ky = (k.to(fields.device) for k in wave_numbers(fields.shape[-2:], lengths))
    squared = kx**2 + ky**2
    stream = to_waves(fields, 2) / torch.where(squared > 0, squared, torch.inf)
    grid = fields.shape[-2:]
    velocity = (from_waves(1j * ky * stream, grid), from_waves(-1j * kx * stream, grid))
    slopes = (derivative(fields, (1, 0), lengths), derivative(fields, (0, 1), lengths))
    rate = by_time(fields, steps.dt_B, 2)
    return torch.stack([rate, *slopes, laplacian(fields, lengths), *velocity], 2)


def _vorticity_residual(values: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    rate, slope_x, slope_y, curvature, u, v = values.unbind(0)
    return rate + u * slope_x + v * slope_y - coefficients[0] * curvature


def _diagonal_force(coefficients_BP: Tensor, grid: Sequence[int]) -> Tensor:
    """Forcing (sin 2 pi (x + y) + cos 2 pi (x + y)), points at (i / N, j / N)."""
    y, x = (torch.arange(n, device=coefficients_BP.device).double() / n for n in grid)
    phase = 2 * pi * (y[:, None] + x)
    return coefficients_BP[:, 1, None, None] * (phase.sin() + phase.cos())


def _sorption_derivatives(fields: Tensor, steps: Steps) -> Tensor:
    """u, u_t, u_xx on a line; u_xx is left at zero in the cells at the ends."""
    width = _beside(steps.lengths_BA[:, 0], fields) / fields.shape[-1]
    inside = (fields[..., 2:] - 2 * fields[..., 1:-1] + fields[..., :-2]) / width**2
    curvature = torch.nn.functional.pad(inside, (1, 1))
    return torch.stack([fields, by_time(fields, steps.dt_B, 1), curvature], 2)


def _sorption_residual(values: Tensor, coefficients: Sequence[Tensor]) -> Tensor:
    u, rate, curvature = values.unbind(0)
    diffusion, porosity, density, k, n = coefficients
    stored = (1 - porosity) / porosity * density * k * n
    retardation = 1 + stored * (u.clamp(min=0) + _OFFSET) ** (n - 1)
    return rate - diffusion / retardation * curvature


def _sorption_ends(
    sign: float,
) -> Callable[[Tensor, Steps, Tensor], Ends]:
    """u = 1 on the left, u + sign D u_x = 0 on the right, at all frames but the first."""

    def ends(fields: Tensor, steps: Steps, coefficients_BP: Tensor) -> Ends:
        later = fields[..., 1:, :]
        frames, cells = fields.shape[-2:]
        width = _beside(steps.lengths_BA[:, 0], later[..., 0]) / cells
        diffusion = _beside(coefficients_BP[:, 0], later[..., 0])
        left = 1.5 * later[..., 0] - 0.5 * later[..., 1]
        right = 1.5 * later[..., -1] - 0.5 * later[..., -2]
        slope = (2 * later[..., -1] - 3 * later[..., -2] + later[..., -3]) / width
        rows = torch.cat([left, right + sign * diffusion * slope], -1)
        first = torch.arange(1, frames, device=fields.device) * cells
        levels = torch.zeros(rows.shape[-1], dtype=fields.dtype, device=fields.device)
        levels[: frames - 1] = 1.0
        return Ends(rows, levels, torch.cat([first, first + cells - 1]))

    return ends


def _sorption(sign: float) -> Evolution:
    return Evolution(
        dimensions=1,
        parameters=("diffusion", "porosity", "density", "freundlich_k", "freundlich_n"),
        derivatives=_sorption_derivatives,
        residual=_sorption_residual,
        ends=_sorption_ends(sign),
    )


EVOLUTIONS: Mapping[str, Evolution] = {
    "burgers": Evolution(  # and the heat equation, where nothing is advected
        dimensions=1,
        parameters=("advection", "viscosity"),
        derivatives=_burgers_derivatives,
        residual=_burgers_residual,
    ),
    "vorticity": Evolution(
        dimensions=2,
        parameters=("viscosity", "forcing"),
        derivatives=_vorticity_derivatives,
        residual=_vorticity_residual,
        is_mean_free=True,
        source=_diagonal_force,
    ),
    "diffusion_sorption": _sorption(1.0),
    "diffusion_sorption_published": _sorption(-1.0),
}

# By the `pde` of a corpus's card, for judges.
OF_CORPORA: Mapping[str, str] = {
    "Burgers": "burgers",
    "heat": "burgers",
    "diffusion-sorption": "diffusion_sorption",
    "incompressible Navier-Stokes, vorticity form": "vorticity",
}


def residual_of(
    equation: Evolution, values: Tensor, coefficients_BP: Tensor, grid: Sequence[int]
) -> Tensor:
    """u_t - L(u) - source of derivatives (B, D, T, *S): (B, T, *S), per second."""
    aside = values.movedim(1, 0)
    coefficients = [_beside(column, aside[0]) for column in coefficients_BP.unbind(1)]
    left = equation.residual(aside, coefficients)
    if equation.source is None:
        return left
    return left - equation.source(coefficients_BP, grid)[:, None]
