"""Laws of curls and harmonic fields on staggered grids: exact divergence, closed faces, means."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

from data_shards.box.grid import Box
from data_shards.box.projection import Projection
from foundation.physics.staggered import (
    curl,
    divergence,
    harmonic_fields,
    open_edges,
    open_faces,
    projected,
    projection,
)

GRID, SPACING = (6, 8, 10), (0.1, 0.15, 0.2)
LENGTHS = (1.0, 1.2, 1.2)
WALLS = [(False, False, False), (False, True, False), (True, False, True)]


@pytest.fixture
def numbers():
    return torch.Generator().manual_seed(0)


def noise(numbers, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=numbers, dtype=dtype)


def rocks(numbers):
    return (torch.rand(GRID, generator=numbers) > 0.2).double()


def edges_of(fluid, walls=(False, False, False)):
    """Open edges of one geometry."""
    return open_edges(open_faces(fluid[None], torch.tensor([walls]).int()))[0]


def box_of(fluid, walls):
    kinds = [("free_slip", "free_slip") if wall else None for wall in walls]
    lengths = [h * n for h, n in zip(SPACING, reversed(fluid.shape), strict=True)]
    return Box(fluid.shape, lengths, kinds, fluid == 0)


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-14), (torch.float32, 1e-5)])
def test_a_curl_has_no_divergence_but_round_off(numbers, dtype, allowed):
    """Largest divergence over largest speed per spacing, of every sample of a batch."""
    velocity = curl(noise(numbers, 2, 3, *GRID, dtype=dtype), SPACING)
    scale = float(velocity.abs().max()) / min(SPACING)
    assert float(divergence(velocity, SPACING).abs().max()) < allowed * scale
    assert velocity.shape == (2, 3, *GRID)


def test_a_curl_at_128_cells_in_a_unit_box_is_within_1e_11():
    """Largest entry, at a root mean square speed of 1; what float32 loses of it, for comparison."""
    numbers = torch.Generator().manual_seed(0)
    velocity = curl(noise(numbers, 3, 128, 128, 128), [1 / 128] * 3)
    velocity /= (velocity**2).sum(0).mean().sqrt()
    assert float(divergence(velocity, [1 / 128] * 3).abs().max()) < 1e-11
    stored = velocity.float().double()
    assert 1e-6 < float(divergence(stored, [1 / 128] * 3).abs().max()) < 1e-3


def test_the_curl_is_that_of_calculus_to_second_order():
    """A = (0, 0, sin y) has the curl (cos y, 0, 0); likewise turned about the diagonal."""
    for axis in range(3):
        after, last = (axis + 1) % 3, (axis + 2) % 3
        errors = []
        for cells in (8, 16):
            shape = [1, 1, 1]
            shape[-1 - after] = cells
            h = 2 * torch.pi / cells
            edges = (torch.arange(cells, dtype=torch.float64) * h).view(shape)
            potential = torch.zeros(3, cells, cells, cells, dtype=torch.float64)
            potential[last] = torch.sin(edges)
            exact = torch.zeros_like(potential)
            exact[axis] = torch.cos(edges + h / 2)
            errors.append(float((curl(potential, [h] * 3) - exact).abs().max()))
        assert 3.6 < errors[0] / errors[1] < 4.2


@pytest.mark.parametrize("walls", WALLS)
def test_a_masked_curl_crosses_no_closed_face_and_has_no_mean(numbers, walls):
    fluid = rocks(numbers)
    potential = noise(numbers, 3, *GRID) * edges_of(fluid, walls)
    velocity = curl(potential, SPACING)
    closed = box_of(fluid, walls).open == 0
    assert bool((velocity[closed] == 0).all())
    assert float(velocity.abs().max()) > 1
    assert float(velocity.mean(dim=(1, 2, 3)).abs().max()) < 1e-14


def test_edges_are_open_where_all_four_cells_around_are_fluid():
    fluid = torch.ones(4, 4, 4)
    fluid[1, 2, 3] = 0
    edges = edges_of(fluid, (False, True, False))
    for axis, place in product(range(3), product(range(4), repeat=3)):
        touched = False
        for steps in product((0, -1), repeat=2):
            cell = list(place)
            for across, step in zip((a for a in range(3) if a != axis), steps, strict=True):
                cell[2 - across] = (cell[2 - across] + step) % 4
            touched |= cell == [1, 2, 3]
        on_wall = axis != 1 and place[1] == 0
        assert edges[axis][place] == (0 if touched or on_wall else 1)


@pytest.mark.parametrize("walls", WALLS)
def test_harmonic_fields_have_unit_means_no_divergence_and_cross_no_closed_face(numbers, walls):
    fluid = rocks(numbers)
    fields = harmonic_fields(fluid, SPACING, walls)
    closed = box_of(fluid, walls).open == 0
    for axis, field in enumerate(fields):
        if walls[axis]:
            assert float(field.abs().max()) == 0  # nothing goes from wall to wall
            continue
        wanted = torch.eye(3, dtype=torch.float64)[axis]
        assert_close(field.mean((1, 2, 3)), wanted, rtol=0, atol=1e-13)
        scale = float(field.abs().max()) / min(SPACING)
        assert float(divergence(field, SPACING).abs().max()) < 1e-12 * scale
        assert bool((field[closed] == 0).all())


def test_harmonic_fields_are_orthogonal_to_every_masked_curl(numbers):
    fluid = rocks(numbers)
    fields = harmonic_fields(fluid, SPACING)
    velocity = curl(noise(numbers, 3, *GRID) * edges_of(fluid), SPACING)
    for field in fields:
        overlap = float((field * velocity).sum() / (field.norm() * velocity.norm()))
        assert abs(overlap) < 1e-12


def test_of_an_empty_box_they_are_constant():
    fields = harmonic_fields(torch.ones(GRID), SPACING)
    for axis, field in enumerate(fields):
        expected = torch.zeros_like(field)
        expected[axis] = 1.0
        assert_close(field, expected, rtol=0, atol=1e-13)


def test_they_are_symmetric_in_a_symmetric_geometry():
    """Turning a cube of solid about the diagonal turns the fields into each other."""
    fluid = torch.ones(8, 8, 8)
    fluid[3:5, 3:5, 3:5] = 0
    along_x, along_y, _ = harmonic_fields(fluid, (0.125,) * 3)
    turned = along_x.permute(0, 2, 3, 1)[[2, 0, 1]]  # x to y, y to z, z to x
    assert_close(turned, along_y, rtol=0, atol=1e-10)


def left_over(fluid, numbers):
    """Share of a random flow through a geometry that curls and harmonic fields cannot give."""
    h = (1.0,) * 3
    box = Box(fluid.shape, fluid.shape[::-1], solid=fluid == 0)
    flow, _ = Projection(box)(noise(numbers, 3, *fluid.shape) * box.open)
    edges = edges_of(fluid)
    columns = [curl(unit, h).flatten() for unit in _units(edges)]
    columns += [field.flatten() for field in harmonic_fields(fluid, h)]
    basis = torch.stack(columns, 1)
    fit = basis @ torch.linalg.lstsq(basis, flow.flatten()[:, None], driver="gelsd").solution
    return float((flow.flatten() - fit[:, 0]).norm() / flow.norm())


def ring_of_solid():
    ring = torch.ones(6, 6, 6, dtype=torch.float64)
    ring[2, 1:5, 1:5] = 0
    ring[2, 2:4, 2:4] = 1
    return ring


def _units(edges):
    for place in edges.nonzero().tolist():
        unit = torch.zeros_like(edges)
        unit[tuple(place)] = 1.0
        yield unit


def test_curls_and_harmonic_fields_are_all_flows_around_a_ball_but_not_through_a_ring(numbers):
    """A potential that is zero on a ring carries no flux through its hole: one flow is missing."""
    ball = torch.ones(6, 6, 6, dtype=torch.float64)
    ball[2:4, 2:4, 2:4] = 0
    assert left_over(ball, numbers) < 1e-10
    assert left_over(ring_of_solid(), numbers) > 1e-3  # of some hundred flows


def potential_of(flow):
    """A vector potential of a periodic flow without divergence or mean, by Fourier waves."""
    grid = flow.shape[1:]
    waves = [torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) for n in grid]
    numbers = torch.meshgrid(*waves, indexing="ij")
    slopes = [torch.exp(2j * torch.pi * k / n) - 1 for k, n in zip(numbers, grid, strict=True)][
        ::-1
    ]
    square = sum(slope.abs() ** 2 for slope in slopes)
    square[0, 0, 0] = 1.0
    waves = torch.fft.fftn(flow, dim=(1, 2, 3))
    parts = []
    for axis in range(3):  # the transpose of curl
        after, last = (axis + 1) % 3, (axis + 2) % 3
        turned = slopes[after].conj() * waves[last] - slopes[last].conj() * waves[after]
        parts.append(-turned / square)
    return torch.fft.ifftn(torch.stack(parts), dim=(1, 2, 3)).real


def test_every_flow_is_a_projected_curl_and_a_mean_also_through_a_ring(numbers):
    fluid = ring_of_solid()
    project = projection(fluid, (1.0,) * 3)
    flow, _ = project(noise(numbers, 3, 6, 6, 6) * project.box.open)
    mean = flow.mean(dim=(1, 2, 3), keepdim=True)
    potential = potential_of(flow - mean)
    rough = curl(potential, (1.0,) * 3) + mean
    assert_close(rough, flow, rtol=0, atol=1e-10)
    assert_close(projected(rough[None], [project])[0], flow, rtol=0, atol=1e-10)


def test_projected_velocities_keep_every_law_of_their_own_geometry(numbers):
    media = [rocks(numbers), torch.ones(GRID)]
    walls = (False, True, False)
    projections = [projection(fluid, SPACING, walls) for fluid in media]
    flows = projected(noise(numbers, 2, 3, *GRID), projections)
    for flow, project in zip(flows, projections, strict=True):
        scale = float(flow.abs().max()) / min(SPACING)
        assert float(divergence(flow, SPACING).abs().max()) < 1e-12 * scale
        assert bool((flow[project.box.open == 0] == 0).all())


def test_gradients_pass_through_a_projection(numbers):
    fluid = torch.ones(3, 4, 3)
    fluid[1, 1, 1] = 0
    project = projection(fluid, (0.5, 0.4, 0.3))
    velocity = noise(numbers, 1, 3, 3, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: projected(v, [project]), (velocity,))


@pytest.mark.parametrize("walls", WALLS)
def test_faces_are_closed_where_the_solvers_are(numbers, walls):
    fluid = rocks(numbers)
    faces = open_faces(fluid[None], torch.tensor([walls]).int())[0]
    assert_close(faces, box_of(fluid, walls).open)


def test_an_axis_that_solids_close_carries_nothing():
    fluid = torch.ones(4, 4, 6)
    fluid[:, :, 2] = 0  # a plate across x
    fields = harmonic_fields(fluid, (1.0, 1.0, 1.0))
    assert fields[0].abs().max() == 0
    assert_close(fields[1].mean((1, 2, 3)), torch.tensor([0.0, 1.0, 0.0]).double())
