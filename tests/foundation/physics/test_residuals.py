"""Laws of steady operators, their inverses and residuals."""

from math import pi

import numpy as np
import pytest
import scipy.fft
import torch
from steady_problems import NAMES, PROBLEMS, chosen, coefficients, noise, problem

from data_shards.catalogue import expand, load_card
from data_shards.errors import UserError
from data_shards.generate import simulate
from data_shards.generate.elliptic import draw_heights, gaussians
from data_shards.generate.spectral_operator import Operator
from data_shards.generate.spectral_operator import solve as solve_waves
from foundation.physics.operators import derivative
from foundation.physics.residuals import (
    OPERATORS,
    SteadyOperator,
    operator_of,
    relative_residual,
    residual,
    solve,
)

STEADY_LADDERS = ["poisson_anisotropy", "advection_ratio", "helmholtz_omega"]
STEADY = ["elliptic_poisson", "elliptic_advection_diffusion", "elliptic_helmholtz"]


def sources(rng, cells=64, count=2):
    """Random sources (B, H, W) of the corpora, with their mean."""
    fields = [gaussians(draw_heights(rng, 0.4), cells) for _ in range(count)]
    return torch.from_numpy(np.stack(fields))


def test_every_steady_corpus_is_known_by_its_equation_and_has_its_coefficients():
    cards = [load_card(name) for name in STEADY]
    assert {card.pde for card in cards} == set(OPERATORS)
    for card in cards:
        assert set(PROBLEMS[card.pde]) <= set(card.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_solves_what_the_residual_asks(rng, name):
    f = sources(rng)
    operator = problem(name)
    u = []
    for source, tensor, velocity, omega in zip(
        f, operator.tensor_B3, operator.velocity_B2, operator.omega_B, strict=True
    ):
        ours = Operator(tuple(tensor.tolist()), tuple(velocity.tolist()), float(omega))
        waves = scipy.fft.rfft2(source.numpy())
        if name != "Helmholtz":
            waves[0, 0] = 0
        u.append(scipy.fft.irfft2(solve_waves(waves, ours), s=(64, 64)))
    u = torch.from_numpy(np.stack(u))
    # float64 round-off of u, 1e-16, times the largest symbol over the smallest, some 1e4.
    assert relative_residual(operator, u, f).max() < 1e-11
    # The mean of f, and waves beyond 32 cycles with exp(-2 pi^2) of the others, are not solved for.
    torch.testing.assert_close(solve(operator, f), u, rtol=1e-7, atol=1e-9)


# Stored fields are float32, rounded by 2^-25 of themselves, which the largest symbol multiplies:
# most for the tensors of large anisotropy, whose u is small beside it.
@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("name", [*STEADY, *expand(STEADY_LADDERS)])
def test_what_is_generated_has_no_residual_but_the_rounding_of_stored_fields(name, resolution):
    card = load_card(name)
    stored = [
        simulate(card, split="test", index=index, seed=0, resolution=resolution)
        for index in range(4)
    ]
    fields = torch.from_numpy(np.stack([trajectory.fields[0] for trajectory in stored]))
    names = PROBLEMS[card.pde]
    values = {n: torch.tensor([t.parameters[n] for t in stored]).double() for n in names}
    left = relative_residual(operator_of(card.pde, values), fields[:, 1], fields[:, 0])
    assert left.max() < 2e-4
    # The truth of another sample is no solution.
    assert (
        relative_residual(
            operator_of(card.pde, values), fields[:, 1].roll(1, 0), fields[:, 0]
        ).min()
        > 0.1
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_residual_is_the_sum_of_the_equations_terms(generator, name):
    grid, lengths = (15, 21), (2.0, 0.7)  # odd: without unpaired waves
    u, f = noise(generator, 2, 2, *grid)
    operator = problem(name)

    def term(orders):
        return derivative(u, orders, lengths)

    k11, k22, k12 = operator.tensor_B3[:, :, None, None].unbind(1)
    v1, v2 = operator.velocity_B2[:, :, None, None].unbind(1)
    left = -(k11 * term((2, 0)) + k22 * term((0, 2)) + 2 * k12 * term((1, 1)))
    left = left + v1 * term((1, 0)) + v2 * term((0, 1))
    left = left - operator.omega_B[:, None, None] * u - f
    if name != "Helmholtz":
        left = left - left.mean((1, 2), keepdim=True)
    torch.testing.assert_close(residual(operator, u, f, lengths), left)


def test_a_manufactured_solution_is_found_again():
    x = torch.arange(64, dtype=torch.float64) / 64
    a = 2 * pi * x
    # u = g(x) h(y), g = exp(sin), h = exp(cos): derivatives by the chain rule.
    g, g1 = torch.exp(torch.sin(a)), 2 * pi * torch.cos(a) * torch.exp(torch.sin(a))
    g2 = (2 * pi) ** 2 * (torch.cos(a) ** 2 - torch.sin(a)) * g
    h, h1 = torch.exp(torch.cos(a)), -2 * pi * torch.sin(a) * torch.exp(torch.cos(a))
    h2 = (2 * pi) ** 2 * (torch.sin(a) ** 2 - torch.cos(a)) * h

    def product(along_x, along_y):
        return along_y[:, None] * along_x[None, :]

    for name in NAMES:
        operator = problem(name)
        k11, k22, k12 = operator.tensor_B3[:, :, None, None].unbind(1)
        v1, v2 = operator.velocity_B2[:, :, None, None].unbind(1)
        f = -(k11 * product(g2, h) + k22 * product(g, h2) + 2 * k12 * product(g1, h1))
        f = f + v1 * product(g1, h) + v2 * product(g, h1)
        f = f - operator.omega_B[:, None, None] * product(g, h)
        u = product(g, h).expand(2, -1, -1)
        assert relative_residual(operator, u, f).max() < 1e-11
        if name != "Helmholtz":
            u = u - u.mean()
        torch.testing.assert_close(solve(operator, f), u, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_has_a_residual_of_one_and_the_solution_none(rng, name):
    f, operator = sources(rng), problem(name)
    one = torch.ones(2, dtype=torch.float64)
    torch.testing.assert_close(relative_residual(operator, 0 * f, f), one)
    torch.testing.assert_close(relative_residual(operator, 3 * solve(operator, f), f), 2 * one)
    assert relative_residual(operator, solve(operator, f), f).max() < 1e-12


def test_an_answer_to_no_source_is_infinitely_wrong_unless_it_is_none(generator):
    u = noise(generator, 2, 12, 16)
    u[1] = 0
    left = relative_residual(problem("Poisson"), u, torch.ones_like(u))  # a mean is no source
    assert left.tolist() == [torch.inf, 0.0]


@pytest.mark.parametrize("name", NAMES)
def test_a_source_ten_times_as_strong_has_ten_times_the_solution_and_residual(generator, name):
    u, f = noise(generator, 2, 2, 12, 16)
    operator = problem(name)
    torch.testing.assert_close(solve(operator, 10 * f), 10 * solve(operator, f))
    torch.testing.assert_close(residual(operator, 10 * u, 10 * f), 10 * residual(operator, u, f))
    torch.testing.assert_close(
        relative_residual(operator, 10 * u, 10 * f), relative_residual(operator, u, f)
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_samples_and_their_company_change_nothing(generator, name):
    u, f = noise(generator, 2, 2, 12, 16)
    operator = problem(name)
    whole = residual(operator, u, f)
    backwards = residual(chosen(operator, [1, 0]), u.flip(0), f.flip(0))
    torch.testing.assert_close(backwards, whole.flip(0), rtol=0, atol=0)
    alone = residual(chosen(operator, [1]), u[1:], f[1:])
    torch.testing.assert_close(alone, whole[1:])  # FFTs of one sum in another order


@pytest.mark.parametrize("name", ["Poisson", "advection-diffusion"])
def test_the_mean_is_free_where_the_equation_does_not_determine_it(generator, name):
    u, f = noise(generator, 2, 2, 12, 16)
    operator = problem(name)
    torch.testing.assert_close(residual(operator, u + 3, f - 5), residual(operator, u, f))
    assert solve(operator, f + 2).mean((1, 2)).abs().max() < 1e-12


def test_the_mean_of_helmholtz_is_that_of_the_source_over_less_omega(generator):
    f = noise(generator, 2, 12, 16) + 2
    means = solve(problem("Helmholtz"), f).mean((1, 2))
    torch.testing.assert_close(means, -f.mean((1, 2)) / torch.tensor([3.0, 7.0]).double())


@pytest.mark.parametrize("name", NAMES)
def test_a_mirrored_problem_has_the_mirrored_solution(generator, name):
    f = noise(generator, 2, 12, 16)

    def mirror(field):  # x to -x, about the point 0
        return field.flip(2).roll(1, 2)

    operator = problem(name)
    flipped = SteadyOperator(
        operator.tensor_B3 * torch.tensor([1, 1, -1]),
        operator.velocity_B2 * torch.tensor([-1, 1]),
        operator.omega_B,
        operator.determines_mean,
    )
    torch.testing.assert_close(solve(flipped, mirror(f)), mirror(solve(operator, f)))


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_turned_by_a_right_angle_has_the_turned_solution(generator, name):
    f = noise(generator, 2, 14, 14)

    def turn(field):  # (x, y) to (-y, x), about the point 0
        return field.transpose(1, 2).flip(2).roll(1, 2)

    operator = problem(name)
    v1, v2 = operator.velocity_B2.unbind(1)
    turned = SteadyOperator(
        operator.tensor_B3[:, [1, 0, 2]] * torch.tensor([1, 1, -1]),
        torch.stack([-v2, v1], 1),
        operator.omega_B,
        operator.determines_mean,
    )
    torch.testing.assert_close(solve(turned, turn(f)), turn(solve(operator, f)))


@pytest.mark.parametrize("name", NAMES)
def test_what_varies_along_x_alone_is_a_problem_of_one_row(generator, name):
    line = noise(generator, 2, 1, 16)
    plane = line.expand(-1, 12, -1)
    operator = problem(name)
    torch.testing.assert_close(solve(operator, plane), solve(operator, line).expand(-1, 12, -1))
    torch.testing.assert_close(
        relative_residual(operator, plane.roll(1, 2), plane),
        relative_residual(operator, line.roll(1, 2), line),
    )


def test_a_point_source_on_a_line_has_the_closed_form_of_helmholtz_and_poisson():
    """u'' of a hat is two points; a decaying pair of exponentials solves -D u'' + m u = point."""
    points, diffusion = 2048, 0.01
    x = torch.arange(points, dtype=torch.float64) / points
    source = torch.zeros(1, 1, points, dtype=torch.float64)
    source[..., 0] = points  # of integral one
    one = {"diffusion": torch.tensor([diffusion]), "omega": torch.tensor([-0.5])}
    rate = (0.5 / diffusion) ** 0.5
    decaying = torch.cosh(rate * (x - 0.5)) / (2 * diffusion * rate * np.sinh(rate / 2))
    found = solve(operator_of("Helmholtz", one), source)[0, 0]
    torch.testing.assert_close(found, decaying, rtol=0, atol=1e-3 * float(decaying.max()))
    zero = torch.zeros(1)
    tensor = {"k11": torch.tensor([diffusion]), "k22": torch.ones(1), "k12": zero}
    bent = ((x - 0.5) ** 2 - 1 / 12) / (2 * diffusion)
    found = solve(operator_of("Poisson", tensor), source)[0, 0]
    torch.testing.assert_close(found, bent, rtol=0, atol=1e-3 * float(bent.max()))


def test_a_wave_on_a_line_is_carried_away_from_its_source():
    """-k u'' + v u' = cos(a x): u = cos(a x - b) / |symbol|, b the angle of the symbol."""
    x = torch.arange(32, dtype=torch.float64) / 32
    k, v, a = 0.02, 0.4, 2 * pi * 3
    size, angle = np.hypot(k * a**2, v * a), np.arctan2(v * a, k * a**2)
    names = {"k11": k, "k22": 1.0, "k12": 0.3, "v1": v, "v2": 0.9}
    operator = operator_of(
        "advection-diffusion", {name: torch.tensor([c]).double() for name, c in names.items()}
    )
    found = solve(operator, torch.cos(a * x)[None, None])[0, 0]
    torch.testing.assert_close(found, torch.cos(a * x - angle) / size, rtol=1e-6, atol=1e-9)


def test_waves_without_a_slope_are_left_out_of_residual_and_solution():
    x = torch.arange(16, dtype=torch.float64) / 16
    unpaired = torch.cos(2 * pi * 8 * x).expand(2, 16, 16)
    for name in NAMES:
        assert residual(problem(name), unpaired, 0 * unpaired).abs().max() < 1e-12
        assert solve(problem(name), unpaired).abs().max() < 1e-12


def test_gradients_flow_to_the_answer_and_to_the_coefficients(generator):
    u, f = noise(generator, 2, 2, 4, 6)
    for name in NAMES:
        values = coefficients(name)
        names, tensors = list(values), [value.requires_grad_() for value in values.values()]

        def of(u, *tensors, name=name, names=names):
            operator = operator_of(name, dict(zip(names, tensors, strict=True)))
            return relative_residual(operator, u, f), residual(operator, u, f)

        assert torch.autograd.gradcheck(of, (u.clone().requires_grad_(), *tensors))


def test_the_sides_lengths_scale_derivatives(generator):
    u, f = noise(generator, 2, 2, 12, 16)
    name = "Poisson"
    stretched = {key: 4 * value for key, value in coefficients(name).items()}
    torch.testing.assert_close(
        residual(operator_of(name, stretched), u, f, (2.0, 2.0)), residual(problem(name), u, f)
    )


def test_what_is_missing_or_unknown_is_named():
    with pytest.raises(UserError, match="k12 missing; the equation has k11, k22, k12"):
        operator_of("Poisson", {"k11": torch.ones(1), "k22": torch.ones(1)})
    with pytest.raises(UserError, match="did you mean 'Poisson'"):
        operator_of("poisson", {})
    with pytest.raises(ValueError, match=r"wanted \(B, H, W\), both the same"):
        residual(problem("Poisson"), torch.zeros(2, 4, 4), torch.zeros(2, 4, 6))
