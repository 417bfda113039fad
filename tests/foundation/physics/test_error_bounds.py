"""Laws of what a residual says of the error, and of resonance, where it says little."""

from math import pi

import pytest
import torch
from steady_problems import NAMES, noise, problem

from foundation.physics.residuals import (
    residual,
    root_mean_square,
    smallest_symbol,
    solve,
)
from foundation.physics.resonance import resonance_distance

# By hand: (.2 pi)^2 = .394784 times 1, 2, 4, 5, 8, 10, 13, 16, 17, 18, 20, 25, 29 is .3948, .7896,
# 1.5791, 1.9739, 3.1583, 3.9478, 5.1322, 6.3165, 6.7113, 7.1061, 7.8957, 9.8696, 11.4487.
DISTANCES = {
    1: 0.2104, 2: 0.0261, 3: 0.1583, 4: 0.0522, 5: 0.1322, 6: 0.3165, 7: 0.1061, 8: 0.1043,
    9: 0.8696, 10: 0.1304, 11: 0.4487,
}  # fmt: skip


def bound_of(operator, left):
    """The largest error, root mean square, that an answer of this residual can have (B,)."""
    return root_mean_square(left) / smallest_symbol(operator, left.shape[1:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grid", [(16, 16), (1, 24), (9, 12)])
def test_no_error_is_beyond_its_bound_and_that_of_the_worst_wave_reaches_it(generator, name, grid):
    f = noise(generator, 2, *grid)
    operator = problem(name)
    truth = solve(operator, f)
    for scale in (1e-6, 1.0, 100.0):
        error = scale * solve(operator, noise(generator, 2, *grid))  # of waves that count
        bound = bound_of(operator, residual(operator, truth + error, f))
        assert (root_mean_square(error) <= bound * (1 + 1e-9)).all()
    symbol = operator.symbol(grid).abs()
    symbol[:, ~operator.counted(grid)] = torch.inf
    worst = torch.zeros(2, *symbol.shape[1:], dtype=torch.complex128)
    for sample in range(2):
        worst[sample].view(-1)[symbol[sample].argmin()] = 1.0
    error = torch.fft.irfft2(worst, s=grid)
    bound = bound_of(operator, residual(operator, truth + error, f))
    torch.testing.assert_close(bound, root_mean_square(error), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_residual_solved_for_is_the_error(generator, name):
    f = noise(generator, 2, 12, 16)
    operator = problem(name)
    truth = solve(operator, f)
    error = solve(operator, noise(generator, 2, 12, 16))
    torch.testing.assert_close(solve(operator, residual(operator, truth + error, f)), error)


@pytest.mark.parametrize("omega", DISTANCES)
def test_distance_to_resonance_is_that_of_the_table(omega):
    assert resonance_distance(omega) == pytest.approx(DISTANCES[omega], abs=5e-5)


@pytest.mark.parametrize("omega", [-1.5, 0.0, 0.3, 4.0, 13.0, 37.0])
def test_distance_to_resonance_is_the_smallest_symbol_of_a_fine_enough_grid(omega):
    operator = problem("Helmholtz", diffusion=(0.01, 0.03), omega=(omega, omega))
    found = smallest_symbol(operator, (32, 32), (1.0, 1.0))
    wanted = [resonance_distance(omega, diffusion) for diffusion in (0.01, 0.03)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))
    stretched = smallest_symbol(operator, (64, 64), (2.0, 2.0))[0]
    assert float(stretched) == pytest.approx(resonance_distance(omega, length=2.0))


def test_at_resonance_no_wave_is_left_out_of_the_smallest_symbol():
    exact = 0.01 * (2 * pi) ** 2  # of one cycle along a side, as the symbol computes it
    operator = problem("Helmholtz", diffusion=(0.01, 0.01), omega=(exact, exact))
    assert resonance_distance(exact) == 0
    assert smallest_symbol(operator, (8, 8)).tolist() == [0, 0]


def test_a_grid_without_waves_is_refused():
    with pytest.raises(ValueError, match="resolves no wave"):
        smallest_symbol(problem("Poisson"), (2, 2))
