"""Laws of the staggered box: exact projection, symmetric diffusion, advection without energy."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

from data_shards.box import solve
from data_shards.box.grid import Box
from data_shards.box.projection import Projection
from data_shards.box.solve import SeparableLaplacian, conjugate_gradients
from data_shards.generate.box_frames import coarsened, refined

GRID, LENGTHS = (6, 8, 10), (1.0, 1.5, 0.7)
NO, SLIP = "no_slip", "free_slip"
WALLS = {
    "periodic": (None, None, None),
    "open channel": (None, (NO, SLIP), None),
    "duct": (None, (NO, NO), (SLIP, NO)),
    "closed": ((NO, NO), (SLIP, SLIP), (NO, SLIP)),
}


@pytest.fixture
def numbers():
    return torch.Generator().manual_seed(0)


def noise(numbers, *shape):
    return torch.randn(*shape, generator=numbers, dtype=torch.float64)


def boxes(numbers):
    """Every kind of walls, empty and with solid cells, some of them at the walls."""
    solid = torch.rand(GRID, generator=numbers) < 0.25
    for walls, cells in product(WALLS.values(), (None, solid)):
        yield Box(GRID, LENGTHS, walls, cells)


def test_what_is_projected_has_no_divergence_and_stays_out_of_solids(numbers):
    for box in boxes(numbers):
        flow, _ = Projection(box)(noise(numbers, 3, *GRID) * box.open)
        # The largest entry over the largest velocity per spacing: round-off of a few additions.
        scale = float(flow.abs().max()) / min(box.spacing)
        assert float(box.divergence(flow).abs().max()) < 1e-12 * scale
        assert bool((flow[box.open == 0] == 0).all())
        assert float(flow.abs().max()) > 0.5


def test_projection_is_orthogonal(numbers):
    """What is taken out is at right angles to what is left, so that no flow lies nearer."""
    for box in boxes(numbers):
        before = noise(numbers, 3, *GRID) * box.open
        flow, _ = Projection(box)(before)
        assert abs(float(((before - flow) * flow).sum())) < 1e-10 * float((flow**2).sum())


def test_the_laplacian_of_pressure_is_the_divergence_of_its_gradient(numbers):
    for box in boxes(numbers):
        pressure = noise(numbers, *GRID) * box.fluid
        expected = box.divergence(box.gradient(pressure))
        assert_close(box.laplacian_of_pressure(pressure), expected, rtol=0, atol=1e-10)


def test_diffusion_is_symmetric_and_takes_energy(numbers):
    for box in boxes(numbers):
        a, b = (noise(numbers, 3, *GRID) * box.open for _ in range(2))
        forth, back = (a * box.laplacian(b)).sum(), (b * box.laplacian(a)).sum()
        assert_close(forth, back, rtol=1e-10, atol=1e-8)
        assert float((a * box.laplacian(a)).sum()) < 0


def test_advection_makes_no_energy_whatever_the_walls_and_solids(numbers):
    for box in boxes(numbers):
        flow, _ = Projection(box)(noise(numbers, 3, *GRID) * box.open)
        work = flow * box.advection(flow)
        assert abs(float(work.sum())) < 1e-11 * float(work.abs().sum())
        assert float(work.abs().sum()) > 0


def test_advection_of_a_periodic_flow_keeps_momentum(numbers):
    box = Box(GRID, LENGTHS)
    flow, _ = Projection(box)(noise(numbers, 3, *GRID))
    rates = box.advection(flow)
    assert float(rates.sum(dim=(1, 2, 3)).abs().max()) < 1e-11 * float(rates.abs().sum())


@pytest.mark.parametrize("walls", WALLS.values(), ids=WALLS)
def test_waves_solve_what_the_differences_say(walls, numbers):
    box = Box(GRID, LENGTHS, walls)
    velocity = noise(numbers, 3, *GRID) * box.open
    right = velocity - 0.01 * box.laplacian(velocity)
    solved = SeparableLaplacian(box, [0, 1, 2]).solve(right, 1.0, 0.01)
    assert_close(solved, velocity, rtol=0, atol=1e-12)
    pressure = noise(numbers, *GRID)
    pressure -= pressure.mean()  # constants have no gradient
    right = -box.laplacian_of_pressure(pressure)[None]
    assert_close(SeparableLaplacian(box, [None]).solve(right, 0.0, 1.0)[0], pressure)


def test_a_wall_without_slip_is_half_a_cell_away_from_tangential_velocity():
    """u = y and u = y (1 - y) are followed exactly up to the wall, u = 1 is not."""
    box = Box((4, 8, 4), (1.0, 1.0, 1.0), (None, (NO, NO), None))
    y = ((torch.arange(8, dtype=torch.float64) + 0.5) / 8).view(1, 8, 1).expand(4, 8, 4)
    flow = torch.zeros(3, 4, 8, 4, dtype=torch.float64)
    flow[0] = y
    assert_close(box.laplacian(flow)[0, :, :-1], torch.zeros(4, 7, 4, dtype=torch.float64))
    flow[0] = 1.0
    assert_close(box.laplacian(flow)[0, :, 0], torch.full((4, 4), -2.0 * 64, dtype=torch.float64))


def test_a_slab_of_solid_cells_is_a_wall(numbers):
    """Diffusion between slabs is that between walls; so is flow, as only differences enter."""
    solid = torch.zeros(4, 10, 6, dtype=torch.bool)
    solid[:, 0] = solid[:, -1] = True
    between = Box((4, 10, 6), (1.0, 1.0, 1.0), solid=solid)
    walls = Box((4, 8, 6), (1.0, 0.8, 1.0), (None, (NO, NO), None))
    flow = noise(numbers, 3, 4, 8, 6) * walls.open
    inside = torch.zeros(3, 4, 10, 6, dtype=torch.float64)
    inside[:, :, 1:-1] = flow
    assert_close(between.laplacian(inside)[:, :, 1:-1], walls.laplacian(flow))
    assert_close(between.advection(inside)[:, :, 1:-1], walls.advection(flow))


@pytest.mark.parametrize("factor", [2, 3])
def test_another_grid_keeps_every_flux_and_so_the_divergence(numbers, factor):
    box = Box(GRID, LENGTHS, WALLS["open channel"])
    flow, _ = Projection(box)(noise(numbers, 3, *GRID) * box.open)
    finer = refined(flow, factor)
    fine = Box([factor * n for n in GRID], LENGTHS, WALLS["open channel"])
    assert float(fine.divergence(finer).abs().max()) < 1e-11
    assert bool((finer[fine.open == 0] == 0).all())
    assert_close(coarsened(finer, factor), flow)
    rough, _ = Projection(fine)(noise(numbers, *finer.shape) * fine.open)
    assert float(box.divergence(coarsened(rough, factor)).abs().max()) < 1e-11


def test_conjugate_gradients_solve_and_say_when_they_do_not(monkeypatch):
    matrix = torch.diag(torch.arange(1.0, 6.0, dtype=torch.float64))
    right = torch.ones(5, dtype=torch.float64)
    x, iterations = conjugate_gradients(
        lambda v: matrix @ v, torch.clone, right, torch.zeros_like(right), 1e-12
    )
    assert_close(matrix @ x, right)
    assert iterations == 5  # as many as there are eigenvalues
    monkeypatch.setattr(solve, "MOST_ITERATIONS", 3)
    with pytest.raises(ArithmeticError, match="conjugate gradients: residual"):
        conjugate_gradients(lambda v: matrix @ v, torch.clone, right, 0 * right, 1e-12)
