"""Laws of spectral derivatives."""

from math import pi

import pytest
import torch

from foundation.physics.operators import derivative, divergence, gradient, laplacian

GRIDS = [(12,), (9,), (8, 12), (7, 10), (1, 16), (6, 8, 10), (5, 6, 4)]
LENGTHS = (2.0, 0.5, 3.0)  # x, y, z


def sides(grid):
    return LENGTHS[: len(grid)]


def places(grid):
    """Coordinates x[, y[, z]] of the points, each of the grid's shape."""
    axes = [
        torch.arange(points, dtype=torch.float64) * length / points
        for points, length in zip(grid, reversed(sides(grid)), strict=True)
    ]
    return list(reversed(torch.meshgrid(*axes, indexing="ij")))


def noise(generator, *shape):
    """All waves, the unpaired ones too."""
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("grid", GRIDS)
def test_derivatives_of_a_resolved_wave_are_those_of_the_calculus(grid):
    numbers = [
        2 * pi / length * (cycles if points > 2 * cycles else 0)
        for points, length, cycles in zip(reversed(grid), sides(grid), (2, 1, 1), strict=False)
    ]
    phase = sum(k * x for k, x in zip(numbers, places(grid), strict=True)) + 0.3
    for axis in range(len(grid)):
        orders = [int(axis == other) for other in range(len(grid))]
        k = numbers[axis]
        slope = derivative(torch.sin(phase), orders, sides(grid))
        torch.testing.assert_close(slope, k * torch.cos(phase))
        curvature = derivative(torch.sin(phase), [2 * order for order in orders], sides(grid))
        torch.testing.assert_close(curvature, -(k**2) * torch.sin(phase))


def test_the_derivative_of_a_smooth_function_is_exact_to_round_off():
    x, y = places((64, 48))
    a, b = 2 * pi / LENGTHS[0], 2 * pi / LENGTHS[1]
    u = torch.exp(torch.sin(a * x) + 0.5 * torch.cos(b * y))
    along_x, along_y = a * torch.cos(a * x) * u, -0.5 * b * torch.sin(b * y) * u
    slopes = gradient(u, LENGTHS[:2])
    torch.testing.assert_close(slopes, torch.stack([along_x, along_y]), rtol=1e-10, atol=1e-10)
    mixed = derivative(u, (1, 1), LENGTHS[:2])
    torch.testing.assert_close(mixed, along_x * along_y / u, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("grid", GRIDS)
def test_any_field_has_a_second_derivative_that_is_the_first_one_twice(generator, grid):
    u = noise(generator, 2, *grid)
    for axis in range(len(grid)):
        orders = [int(axis == other) for other in range(len(grid))]
        twice = derivative(derivative(u, orders, sides(grid)), orders, sides(grid))
        at_once = derivative(u, [2 * order for order in orders], sides(grid))
        torch.testing.assert_close(at_once, twice)
    torch.testing.assert_close(
        divergence(gradient(u, sides(grid)), sides(grid)), laplacian(u, sides(grid))
    )


@pytest.mark.parametrize("grid", [(8, 12), (6, 8, 10)])
def test_derivatives_along_two_axes_commute_and_mixed_orders_are_both(generator, grid):
    u = noise(generator, *grid)
    last = [0] * (len(grid) - 2)
    x_then_y = derivative(derivative(u, [1, 0, *last], sides(grid)), [0, 2, *last], sides(grid))
    y_then_x = derivative(derivative(u, [0, 2, *last], sides(grid)), [1, 0, *last], sides(grid))
    torch.testing.assert_close(x_then_y, y_then_x)
    torch.testing.assert_close(derivative(u, [1, 2, *last], sides(grid)), x_then_y)


@pytest.mark.parametrize("grid", GRIDS)
def test_integration_by_parts_leaves_nothing_at_the_sides(generator, grid):
    u, v = noise(generator, 2, *grid)
    for axis in range(len(grid)):
        orders = [int(axis == other) for other in range(len(grid))]
        left = (u * derivative(v, orders, sides(grid))).sum()
        right = (v * derivative(u, orders, sides(grid))).sum()
        torch.testing.assert_close(left, -right)
    assert (u * laplacian(u, sides(grid))).sum() <= 0


def test_the_unpaired_wave_has_no_slope_and_does_not_hide_others():
    x = torch.arange(16, dtype=torch.float64) / 16
    unpaired = torch.cos(2 * pi * 8 * x)  # +1, -1, ...
    assert derivative(unpaired, (1,), (1.0,)).abs().max() < 1e-12
    assert derivative(unpaired, (2,), (1.0,)).abs().max() < 1e-12
    both = torch.sin(2 * pi * x) + unpaired
    torch.testing.assert_close(
        derivative(both, (1,), (1.0,)), 2 * pi * torch.cos(2 * pi * x), rtol=1e-12, atol=1e-12
    )


def test_the_flow_of_a_stream_function_has_no_divergence_and_one_from_a_source_has():
    x, y = places((16, 24))
    a, b = 2 * pi / LENGTHS[0], 2 * pi / LENGTHS[1]
    stream = torch.sin(a * x) * torch.cos(b * y)
    along_x, along_y = gradient(stream, LENGTHS[:2])
    turning = torch.stack([along_y, -along_x])
    assert divergence(turning, LENGTHS[:2]).abs().max() < 1e-10
    leaving = torch.stack([torch.sin(a * x), 0 * x])
    torch.testing.assert_close(divergence(leaving, LENGTHS[:2]), a * torch.cos(a * x))


def test_gradients_flow_through_derivatives(generator):
    u = noise(generator, 4, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: derivative(f, (1, 2), (1.0, 2.0)), u)
    assert torch.autograd.gradcheck(lambda f: laplacian(f, (1.0, 2.0)), u)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_precision_is_the_fields(generator, dtype):
    u = noise(generator, 3, 8, 8).to(dtype)
    assert gradient(u, (1.0, 1.0)).dtype == dtype
    assert gradient(u, (1.0, 1.0)).shape == (3, 2, 8, 8)


@pytest.mark.parametrize(
    ("orders", "lengths", "says"),
    [
        ((1, 0), (1.0,), "2 orders and 1 lengths"),
        ((), (), "0 dimensions"),
        ((1, 0, 0), (1.0, 1.0, 1.0), r"3 dimensions of fields \(4, 4\)"),
    ],
)
def test_axes_that_do_not_fit_are_refused(orders, lengths, says):
    with pytest.raises(ValueError, match=says):
        derivative(torch.zeros(4, 4), orders, lengths)
