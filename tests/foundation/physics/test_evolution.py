"""Equations of evolution: exact solutions leave little, and less on a finer grid."""

from math import pi

import numpy as np
import pytest
import torch

from data_shards.errors import UserError
from data_shards.generate.diffusion_sorption import Isotherm, solve
from foundation.physics.evolution import EVOLUTIONS, Steps, by_time, residual_of

SORPTION = (5e-4, 0.29, 2880.0, 3.5e-4, 0.874)


def steps_of(dt: float, sides: tuple[float, float] = (1.0, 1.0)) -> Steps:
    return Steps(torch.tensor([dt], dtype=torch.float64), torch.tensor([sides]).double())


def left_of(name, field, dt, coefficients, sides=(1.0, 1.0)):
    """Residual of one field (T, *S) at the points that are asked, per second."""
    equation, steps = EVOLUTIONS[name], steps_of(dt, sides)
    values = equation.derivatives(field[None, None], steps)[:, 0]
    known = torch.tensor([coefficients], dtype=torch.float64)
    left = residual_of(equation, values, known, field.shape[1:])[0]
    return left[equation.inner(field.shape)]


def halving(error) -> float:
    """How often the error of a grid is that of one twice as fine."""
    coarse, fine = error(1), error(2)
    return coarse / fine


def test_rates_of_a_parabola_are_exact_in_every_frame():
    t = torch.arange(5).double() * 0.3
    field = (2 * t**2 - t)[:, None].expand(5, 3)
    rates = by_time(field[None, None], torch.tensor([0.3], dtype=torch.float64), 1)[0, 0]
    torch.testing.assert_close(rates, (4 * t - 1)[:, None].expand(5, 3))


def test_a_burgers_wave_by_cole_and_hopf_is_left_over_by_the_frames_alone():
    """u = -2 nu phi_x / phi, phi = 2 + exp(-nu k^2 t) cos(k x), on a line of length three."""
    viscosity, k, cells = 0.05, 2 * pi / 3, 48

    def error(finer):
        t = torch.linspace(0, 2, 20 * finer + 1).double()[:, None]
        x = (torch.arange(cells).double() + 0.5) / cells * 3
        decay = torch.exp(-viscosity * k**2 * t)
        u = 2 * viscosity * k * decay * (k * x).sin() / (2 + decay * (k * x).cos())
        return left_of("burgers", u, 0.1 / finer, (1.0, viscosity), (3.0, 1.0)).abs().max()

    assert halving(error) == pytest.approx(4, rel=0.1)
    assert error(8) < 1e-6


def test_a_decaying_vortex_array_solves_the_vorticity_equation():
    viscosity, cells = 0.01, 16

    def error(finer):
        t = torch.linspace(0, 1, 10 * finer + 1).double()[:, None, None]
        at = torch.arange(cells).double() / cells * 2 * pi
        w = at.cos()[:, None] * (2 * at).cos() * torch.exp(-viscosity * 5 * 4 * pi**2 * t)
        return left_of("vorticity", w, 0.1 / finer, (viscosity, 0.0)).abs().max()

    assert halving(error) == pytest.approx(4, rel=0.1)


def test_velocity_is_that_whose_curl_is_the_vorticity_and_turns_the_right_way():
    at = torch.arange(16).double() / 16 * 2 * pi
    w = at.sin()[:, None].expand(16, 16) + (3 * at).cos()  # of y alone, and of x alone
    values = EVOLUTIONS["vorticity"].derivatives(w.expand(1, 1, 3, 16, 16), steps_of(1.0))
    u, v = values[0, 0, 4:, 0]
    # curl = v_x - u_y: u = cos(2 pi y) / 2 pi and v = sin(6 pi x) / 6 pi
    torch.testing.assert_close(u, (at.cos() / (2 * pi))[:, None].expand(16, 16))
    torch.testing.assert_close(v, ((3 * at).sin() / (6 * pi)).expand(16, 16))


def test_a_flow_on_another_square_is_refused():
    with pytest.raises(UserError, match="wanted the unit square"):
        left_of("vorticity", torch.zeros(4, 8, 8).double(), 1.0, (0.1, 0.0), (2.0, 2.0))


def test_forcing_that_viscosity_balances_leaves_nothing():
    """A steady diagonal wave advects itself nowhere: nu k^2 w = f."""
    viscosity, forcing = 0.02, 0.1
    at = torch.arange(16).double() / 16
    phase = 2 * pi * (at[:, None] + at)
    w = forcing * (phase.sin() + phase.cos()) / (viscosity * 8 * pi**2)
    left = left_of("vorticity", w.expand(4, 16, 16), 1.0, (viscosity, forcing))
    assert left.abs().max() < 1e-13


def test_what_the_generator_solves_leaves_a_fourth_on_twice_the_grid():
    """From a profile that suits the left end; layers at the right one are left out."""

    def error(finer):
        cells, frames = 32 * finer, 10 * finer + 1
        x = (np.arange(cells) + 0.5) / cells
        times = np.linspace(0, 100, frames)
        u = solve(1 - x + 0.2 * np.sin(pi * x), times=times, diffusion=SORPTION[0],
                  isotherm=Isotherm(), tolerance=1e-9)  # fmt: skip
        left = left_of("diffusion_sorption", torch.from_numpy(u), 10.0 / finer, SORPTION)
        return left.view(frames - 1, cells - 2)[:, : cells // 2].square().mean().sqrt()

    assert halving(error) == pytest.approx(4, rel=0.25)


@pytest.mark.parametrize(
    ("name", "sign"), [("diffusion_sorption", -1), ("diffusion_sorption_published", 1)]
)
def test_conditions_at_the_ends_hold_for_lines_that_fulfil_them(name, sign):
    """u = 1 + a x with u(1) = sign * D * a, whatever the grid."""
    diffusion = 0.25
    slope = -1 / (1 - sign * diffusion)
    x = (torch.arange(8).double() + 0.5) / 8
    field = (1 + slope * x).expand(1, 1, 5, 8)
    known = torch.tensor([[diffusion, *SORPTION[1:]]], dtype=torch.float64)
    ends = EVOLUTIONS[name].ends(field, steps_of(1.0), known)
    torch.testing.assert_close(ends.rows_BJR[0, 0], ends.levels_R)
    assert ends.points_R.tolist() == [8, 16, 24, 32, 15, 23, 31, 39]
    assert ends.levels_R.tolist() == [1.0] * 4 + [0.0] * 4


@pytest.mark.parametrize("name", EVOLUTIONS)
def test_derivatives_of_a_sum_are_the_sum_of_derivatives(name, generator):
    equation = EVOLUTIONS[name]
    shape = (2, 1, 5, *(8,) * equation.dimensions)
    one, two = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    steps = Steps(torch.tensor([0.1, 0.3], dtype=torch.float64), torch.ones(2, 2).double())
    apart = equation.derivatives(torch.cat([one, two], 1), steps)
    torch.testing.assert_close(apart.sum(1), equation.derivatives(one + two, steps)[:, 0])
