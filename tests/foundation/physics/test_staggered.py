"""Laws of flow on a staggered box: exact whatever the network says."""

import pytest
import torch

from foundation.physics.staggered import (
    curl,
    divergence,
    harmonic_fields,
    mean_flow,
    open_edges,
    open_faces,
)

SPACING = torch.tensor([[1 / 12, 1 / 10, 1 / 8], [0.1, 0.1, 0.1]], dtype=torch.float64)
GRID = (8, 10, 12)


@pytest.fixture
def spheres(generator):
    """Two samples, one with walls along z and a few solid cells, one with a sphere."""
    fluid = torch.ones(2, *GRID, dtype=torch.float64)
    fluid[0] -= (torch.rand(GRID, generator=generator) < 0.1).double()
    z, y, x = torch.meshgrid(*(torch.arange(n) - n / 2 + 0.5 for n in GRID), indexing="ij")
    fluid[1][x**2 + y**2 + z**2 < 9] = 0
    walls = torch.tensor([[0, 0, 1], [0, 0, 0]])
    return open_faces(fluid, walls), fluid


def noise(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_a_curl_has_no_divergence_and_crosses_no_closed_face(spheres, generator):
    faces, _ = spheres
    velocity = curl(open_edges(faces) * noise(generator, 2, 3, *GRID), SPACING)
    # Round-off of differences of numbers of order 1 / spacing^2 = 150.
    assert divergence(velocity, SPACING).abs().max() < 1e-11
    assert (velocity * (1 - faces)).abs().max() == 0
    assert (velocity * faces).abs().mean() > 1
    assert mean_flow(velocity).abs().max() < 1e-13


def test_no_edge_is_closed_without_need(spheres):
    """An edge is closed only if one of its four faces is: then its potential would cross it."""
    faces, _ = spheres
    edges = open_edges(faces)
    for axis in range(3):
        alone = torch.zeros(1, 3, *GRID, dtype=torch.float64)
        alone[0, axis, 3, 4, 5] = 1.0
        touched = curl(alone, SPACING[1:]) != 0
        assert touched.sum() == 4
        for sample in range(2):
            crosses = bool((touched[0] & (faces[sample] == 0)).any())
            assert bool(edges[sample, axis, 3, 4, 5] == 0) == crosses


def test_curl_is_second_order_of_a_closed_form():
    """A = (0, 0, sin x sin y) gives v = (sin x cos y, -cos x sin y, 0)."""
    errors = []
    for count in (16, 32):
        h = 2 * torch.pi / count
        at = torch.arange(count, dtype=torch.float64) * h
        x, y = at[None, None, :], at[None, :, None]
        potential = torch.zeros(1, 3, 4, count, count, dtype=torch.float64)
        potential[0, 2] = x.sin() * y.sin()
        velocity = curl(potential, torch.full((1, 3), h, dtype=torch.float64))
        truth = x.sin() * (y + h / 2).cos()
        errors.append(float((velocity[0, 0] - truth).abs().max()))
        assert velocity[0, 2].abs().max() == 0
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


def test_harmonic_fields_carry_the_mean_and_nothing_else(spheres):
    faces, _ = spheres
    flows = harmonic_fields(faces, SPACING)
    means = torch.stack([mean_flow(flows[:, axis]) for axis in range(3)], dim=1)
    wanted = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    wanted[0, 2, 2] = 0  # walls across z
    torch.testing.assert_close(means, wanted, rtol=0, atol=1e-12)
    for axis in range(3):
        assert divergence(flows[:, axis], SPACING).abs().max() < 1e-11
        assert (flows[:, axis] * (1 - faces)).abs().max() == 0


def test_a_harmonic_field_has_no_part_in_common_with_a_curl(spheres, generator):
    """It is a uniform flow and a gradient; both are orthogonal to curls of closed potentials."""
    faces, _ = spheres
    velocity = curl(open_edges(faces) * noise(generator, 2, 3, *GRID), SPACING)
    flows = harmonic_fields(faces, SPACING)
    product = (flows * velocity[:, None]).sum((2, 3, 4, 5)).abs()
    assert (product < 1e-9 * velocity.norm() * flows.norm()).all()


def test_an_open_box_carries_a_uniform_flow():
    faces = torch.ones(1, 3, 4, 4, 4)
    flows = harmonic_fields(faces, torch.ones(1, 3))
    for axis in range(3):
        assert torch.equal(flows[0, axis, axis], torch.ones(4, 4, 4, dtype=torch.float64))
        assert flows[0, axis].sum() == 64


def test_an_axis_that_solids_close_carries_nothing():
    fluid = torch.ones(1, 4, 4, 6)
    fluid[:, :, :, 2] = 0  # a plate across x
    flows = harmonic_fields(open_faces(fluid, torch.zeros(1, 3)), torch.ones(1, 3))
    assert flows[0, 0].abs().max() == 0
    torch.testing.assert_close(mean_flow(flows[:, 1])[0, 1], torch.tensor(1.0).double())
