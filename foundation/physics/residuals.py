"""Residuals of steady problems: an answer, its source and its coefficients in, errors out.

    A u = -div(K grad(u)) + v.grad(u) - omega u = f

Axes: B samples, H rows (y), W columns (x) of a periodic plane, one row for a line; Q = W // 2 + 1
waves along x. Coefficients are constant in space, one per sample, k11 and v1 along x. Everything
is computed and given in float64, and is differentiable.

What counts are the waves that the grid resolves (see `operators`), and the mean only where A
determines it: where omega is 0 it does not, and f and u have mean zero by convention. Norms are
root mean squares over the grid, so 2-norms per area.

How far to trust an answer. A multiplies every wave by its symbol, so the residual r = A u - f is
the error e = u - u* seen through A: `solve` of r gives e itself, and the size of r alone bounds
it, |e| <= |r| / min |symbol|, with equality where r is the wave of the smallest symbol. For
Helmholtz that symbol is the distance of omega from a resonance (see `resonance`): next to one,
a small residual promises little.

The truth has a residual too, by the rounding of stored fields to float32 times the largest
symbol. Relative residuals of generated fields, median and largest of 16 problems each:

    points a side         32                 64                 128
    Poisson               3.0e-6  5.3e-6     1.2e-5  2.1e-5     5.1e-5  8.7e-5
    advection-diffusion   2.1e-6  4.0e-6     9.0e-6  1.5e-5     3.6e-5  6.3e-5
    Helmholtz             1.8e-6  6.9e-6     8.2e-6  3.1e-5     3.4e-5  1.3e-4
    anisotropy 20 to 50   6.5e-6  3.1e-5     2.9e-5  1.2e-4     1.2e-4  5.0e-4

They are small at 32 points, which do not resolve the source, because generated fields lack the
waves beyond a grid. Point values taken from 128 points at every fourth have the folded ones too:
9e-4, 1.2e-3, 7e-4; means over 4 x 4 points, as conversion to 32 gives: 5e-4, 7e-4, 4e-4.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from data_shards.errors import UserError, unknown_name
from foundation.physics.operators import from_waves, is_paired, to_waves, wave_numbers

UNIT_SQUARE = (1.0, 1.0)


@dataclass(frozen=True)
class SteadyOperator:
    """A of a batch, coefficients float64.

    Attributes:
        tensor_B3: k11, k22, k12 of K.
        velocity_B2: v1, v2.
        omega_B: of the term without derivatives.
        determines_mean: whether the mean of u follows from that of f.
    """

    tensor_B3: Tensor
    velocity_B2: Tensor
    omega_B: Tensor
    determines_mean: bool

    def symbol(self, grid: Sequence[int], lengths: Sequence[float] = UNIT_SQUARE) -> Tensor:
        """What A multiplies every wave by, complex (B, H, Q)."""
        kx, ky = (k.to(self.omega_B.device) for k in wave_numbers(grid, lengths))
        k11, k22, k12 = self.tensor_B3[..., None, None].unbind(1)
        v1, v2 = self.velocity_B2[..., None, None].unbind(1)
        even = k11 * kx**2 + k22 * ky**2 + 2 * k12 * kx * ky - self.omega_B[:, None, None]
        return torch.complex(even, v1 * kx + v2 * ky)

    def counted(self, grid: Sequence[int]) -> Tensor:
        """Which waves count, boolean (H, Q)."""
        counted_HQ = is_paired(grid).to(self.omega_B.device)
        counted_HQ[0, 0] = self.determines_mean
        return counted_HQ


Coefficients = Mapping[str, Tensor]  # (B,) each, under the names of the corpus's card


def poisson(coefficients: Coefficients) -> SteadyOperator:
    """-div(K grad(u)) = f: k11, k22, k12."""
    tensor_B3 = _stacked(coefficients, "k11", "k22", "k12")
    return SteadyOperator(tensor_B3, 0 * tensor_B3[:, :2], 0 * tensor_B3[:, 0], False)


def advection_diffusion(coefficients: Coefficients) -> SteadyOperator:
    """-div(K grad(u)) + v.grad(u) = f: k11, k22, k12, v1, v2."""
    tensor_B3 = _stacked(coefficients, "k11", "k22", "k12")
    velocity_B2 = _stacked(coefficients, "v1", "v2")
    return SteadyOperator(tensor_B3, velocity_B2, 0 * tensor_B3[:, 0], False)


def helmholtz(coefficients: Coefficients) -> SteadyOperator:
    """-D lap(u) - omega u = f: diffusion, omega."""
    diffusion_B, omega_B = _stacked(coefficients, "diffusion", "omega").unbind(1)
    tensor_B3 = torch.stack([diffusion_B, diffusion_B, 0 * diffusion_B], 1)
    return SteadyOperator(tensor_B3, 0 * tensor_B3[:, :2], omega_B, True)


OPERATORS: Mapping[str, Callable[[Coefficients], SteadyOperator]] = {  # by the card's `pde`
    "Poisson": poisson,
    "advection-diffusion": advection_diffusion,
    "Helmholtz": helmholtz,
}


def operator_of(pde: str, coefficients: Coefficients) -> SteadyOperator:
    """The operator of a corpus.

    Args:
        pde: as its card says; one of `OPERATORS`.
        coefficients: (B,) each; others than those of the equation are passed over.

    Raises:
        UserError: another equation, or a coefficient is missing.
    """
    if pde not in OPERATORS:
        raise unknown_name("steady equation", pde, OPERATORS)
    return OPERATORS[pde](coefficients)


def residual(
    operator: SteadyOperator,
    u_BHW: Tensor,
    f_BHW: Tensor,
    lengths: Sequence[float] = UNIT_SQUARE,
) -> Tensor:
    """A u - f of the waves that count, (B, H, W), in units of f.

    Args:
        operator: A.
        u_BHW: the answer to be judged.
        f_BHW: the source.
        lengths: of the sides along x and y.

    Raises:
        ValueError: u and f are not of one shape (B, H, W).
    """
    if u_BHW.shape != f_BHW.shape or u_BHW.ndim != 3:
        raise ValueError(
            f"u is {tuple(u_BHW.shape)} and f {tuple(f_BHW.shape)}; wanted (B, H, W), both the same"
        )
    grid = u_BHW.shape[1:]
    waves_BHQ = operator.symbol(grid, lengths) * _waves(u_BHW) - _waves(f_BHW)
    return from_waves(waves_BHQ * operator.counted(grid), grid)


def relative_residual(
    operator: SteadyOperator,
    u_BHW: Tensor,
    f_BHW: Tensor,
    lengths: Sequence[float] = UNIT_SQUARE,
) -> Tensor:
    """`||A u - f|| / ||f||` of the waves that count, (B,): 1 for u = 0, 0 for the solution.

    Infinite where f has none of these waves and A u has; arguments as of `residual`.
    """
    left_B = root_mean_square(residual(operator, u_BHW, f_BHW, lengths))
    grid = f_BHW.shape[1:]
    source_B = root_mean_square(from_waves(_waves(f_BHW) * operator.counted(grid), grid))
    return torch.where(left_B == 0, 0.0, left_B / source_B)


def smallest_symbol(
    operator: SteadyOperator, grid: Sequence[int], lengths: Sequence[float] = UNIT_SQUARE
) -> Tensor:
    """1 / ||A^-1||, the least factor by which A multiplies a wave that counts, (B,).

    Raises:
        ValueError: the grid is so small that no wave counts.
    """
    counted_HQ = operator.counted(grid)
    if not counted_HQ.any():
        raise ValueError(f"a grid of {tuple(grid)} resolves no wave; wanted 3 points along a side")
    return torch.amin(operator.symbol(grid, lengths).abs()[:, counted_HQ], 1)


def solve(
    operator: SteadyOperator, f_BHW: Tensor, lengths: Sequence[float] = UNIT_SQUARE
) -> Tensor:
    """A^-1 of the waves that count, (B, H, W): of a source the solution, of a residual the error.

    Not finite at exact resonance.
    """
    grid = f_BHW.shape[1:]
    counted_HQ = operator.counted(grid)
    symbol_BHQ = torch.where(counted_HQ, operator.symbol(grid, lengths), 1.0)
    return from_waves(_waves(f_BHW) / symbol_BHQ * counted_HQ, grid)


def root_mean_square(field_BHW: Tensor) -> Tensor:
    """2-norm per area, (B,); its slope at 0 is 0."""
    size_B: Tensor = torch.linalg.vector_norm(field_BHW.flatten(1), dim=1)
    return size_B / sqrt(field_BHW[0].numel())


def _waves(field_BHW: Tensor) -> Tensor:
    return to_waves(field_BHW.double(), 2)


def _stacked(coefficients: Coefficients, *names: str) -> Tensor:
    """Coefficients of these names, float64 (B, names)."""
    missing = [name for name in names if name not in coefficients]
    if missing:
        raise UserError(
            f"coefficients {', '.join(coefficients) or 'none'}: {', '.join(missing)} missing; the "
            f"equation has {', '.join(names)}"
        )
    return torch.stack([coefficients[name].double() for name in names], 1)
