"""The layer's rows: their own derivatives are those of torch, and the laws of boxes hold."""

from itertools import pairwise
from math import pi

import pytest
import torch
from torch.func import hessian, vmap

from data_shards.stream.origin import Origin
from foundation.constraint.boxes import at_faces
from foundation.constraint.config import ConstraintConfig
from foundation.constraint.layer import Constrained, ConstraintLayer
from foundation.constraint.levenberg_marquardt import objective_of
from foundation.constraint.rows import BoxRows
from foundation.physics.evolution import EVOLUTIONS

TIGHT = {"tolerance": 1e-11, "iterations": 60}
FRAMES, CELLS = 17, 16
COEFFICIENTS = {
    "burgers": [1.0, 0.02],
    "vorticity": [1e-3, 0.1],
    "diffusion_sorption": [5e-4, 0.29, 2880.0, 3.5e-4, 0.874],
}


def random_rows(equation: str, generator: torch.Generator) -> tuple[BoxRows, list[torch.Tensor]]:
    """Two boxes of 20 points, 6 rows of conditions and 4 weights."""
    numbers = len(COEFFICIENTS[equation])
    depth = {"burgers": 4, "vorticity": 6, "diffusion_sorption": 3}[equation]

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(2, *shape, generator=generator, dtype=torch.float64)

    known = torch.tensor(COEFFICIENTS[equation], dtype=torch.float64).expand(2, numbers)
    counts = torch.ones(2, 20, dtype=torch.float64)
    counts[0, 15:] = 0
    own = [random(20, depth, 5), random(20), random(6, 5), counts, (random(6) > 0.3).double()]
    return BoxRows(EVOLUTIONS[equation], 1e-2), [random(4), *own, known, random()]


@pytest.mark.parametrize("equation", COEFFICIENTS)
def test_derivatives_by_points_are_those_that_torch_finds_by_weights(equation, generator):
    rows, tensors = random_rows(equation, generator)
    objective = objective_of(rows.__call__)
    exact, (gradient, value) = vmap(lambda *own: rows.parts("exact", *own))(*tensors)
    torch.testing.assert_close(exact, vmap(hessian(objective))(*tensors))
    torch.testing.assert_close(gradient, vmap(torch.func.grad(objective))(*tensors))
    torch.testing.assert_close(value, vmap(objective)(*tensors))
    jacobian = vmap(torch.func.jacfwd(rows.__call__))(*tensors)
    without, _ = vmap(lambda *own: rows.parts("gauss_newton", *own))(*tensors)
    torch.testing.assert_close(without, jacobian.mT @ jacobian)


def heat_layer(boxes: tuple[int, ...] = (), **options: object) -> ConstraintLayer:
    enforced = "mixture" if boxes else "one"
    values = {"equation": "burgers", "enforced": enforced, "boxes": boxes, "solver": TIGHT}
    return ConstraintLayer(ConstraintConfig.model_validate(values | options), (FRAMES, CELLS))


def waves_in_time(generator: torch.Generator, count: int = 6, samples: int = 2) -> torch.Tensor:
    """Smooth random basis fields (B, N, T, W)."""
    t = torch.linspace(0, 1, FRAMES, dtype=torch.float64)[:, None]
    x = torch.arange(CELLS, dtype=torch.float64) / CELLS * 2 * pi
    a, b, c = torch.randn(3, samples, count, 1, 1, generator=generator, dtype=torch.float64)
    order = torch.arange(count)[:, None, None]
    return a * (x + b).sin() * t**order + c * (2 * x + a).cos() * (b * t).cos()


def origins_of(advection: float, viscosity: float, samples: int = 2) -> tuple[Origin, ...]:
    known = {"advection": advection, "viscosity": viscosity}
    return (Origin(1 / (FRAMES - 1), (0, 1, 0, 1), known),) * samples


def first_of(samples: int = 2) -> torch.Tensor:
    x = torch.arange(CELLS, dtype=torch.float64) / CELLS * 2 * pi
    return torch.stack([(x + phase).sin() for phase in torch.arange(samples)])


@pytest.mark.parametrize("boxes", [(), (1, 2), (1, 4)])
def test_a_linear_equation_is_solved_to_round_off_if_the_basis_holds_the_solution(boxes):
    """u grows linearly: u_t = nu u_xx has u = u0 + t w with w the rate, where diffusion is off."""
    rate = first_of().roll(3, 1)
    t = torch.linspace(0, 1, FRAMES, dtype=torch.float64)[:, None]
    other = waves_in_time(torch.Generator().manual_seed(4), 3)
    # Of a steady field only the known one is needed; the others must get no weight.
    layer = heat_layer(boxes, ridge=0.0)
    basis = torch.cat([other, (rate[:, None] * t)[:, None]], 1)
    found = layer(basis, first_of(), origins_of(0.0, 1e-12))
    steady = first_of()[:, None].expand(-1, FRAMES - 1, -1)
    torch.testing.assert_close(found.fields, steady, rtol=0, atol=1e-9)
    assert (found.terms["residual"] < 1e-10).all()
    assert (found.terms["unsolved"] == 0).all()


def test_the_objective_for_a_fixed_basis_does_not_rise_with_the_number_of_boxes(generator):
    basis, errors = waves_in_time(generator), []
    for boxes in [(), (1, 2), (1, 4), (2, 4), (4, 8)]:
        layer = heat_layer(boxes, ridge=0.0, time_unit="second")
        errors.append(layer(basis, first_of(), origins_of(1.0, 0.05)).terms["residual"])
    for fewer, more in pairwise(errors):
        assert (more <= fewer * (1 + 1e-9)).all()
    assert (errors[-1] < 0.7 * errors[0]).all()


@pytest.mark.parametrize(
    ("boxes", "overlap", "faces"),
    [((), 0, "free"), ((1, 4), 0, "free"), ((1, 4), 2, "free"), ((1, 4), 0, "anchored")],
)
def test_gradients_through_boxes_are_those_of_finite_differences(boxes, overlap, faces, generator):
    """One direction; solves end at 1e-11, differences of fourth order over 1e-5 are as good."""
    layer = heat_layer(boxes, overlap=overlap, faces=faces)
    basis, first, origins = waves_in_time(generator, 4), first_of(), origins_of(1.0, 0.05)
    weights = torch.randn(2, FRAMES - 1, CELLS, generator=generator, dtype=torch.float64)

    def measured(fields: torch.Tensor) -> torch.Tensor:
        found = layer(fields, first, origins)
        return (found.fields * weights).sum() + found.terms["residual"].sum()

    basis.requires_grad_()
    (gradient,) = torch.autograd.grad(measured(basis), basis)
    along = torch.randn(basis.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        near, far = (
            measured(basis + step * along) - measured(basis - step * along) for step in (1e-5, 2e-5)
        )
    difference = (8 * near - far) / (12 * 1e-5)
    assert float((gradient * along).sum()) == pytest.approx(float(difference), rel=1e-6)


def test_anchored_faces_lie_as_near_the_one_solve_as_their_rows_weigh(generator):
    """Boxes of their own jump at faces; anchored ones do less, and still leave less than one."""
    basis, first, origins = waves_in_time(generator, 4), first_of(), origins_of(0.0, 0.05)
    one = heat_layer()(basis, first, origins)
    free, anchored = (
        heat_layer((1, 4), faces=faces)(basis, first, origins) for faces in ("free", "anchored")
    )
    sides = at_faces((FRAMES, CELLS), (1, 4)).any(0)[1:]

    def beside(found: Constrained) -> float:
        return float((found.fields - one.fields)[:, sides].norm())

    assert beside(anchored) < 0.5 * beside(free)
    assert (free.terms["residual"] < anchored.terms["residual"]).all()
    assert (anchored.terms["residual"] < one.terms["residual"]).all()
    assert set(anchored.terms) == set(free.terms)


def test_a_solve_within_the_span_is_that_of_least_squares_by_hand(generator):
    """Without advection the rows are linear: numpy's minimiser of the same rows."""
    layer = heat_layer(ridge=0.0, time_unit="second")
    basis, first, origins = waves_in_time(generator, 4, 1), first_of(1), origins_of(0.0, 0.05, 1)
    found = layer(basis, first, origins)
    grown = basis[0] * torch.linspace(0, 1, FRAMES, dtype=torch.float64)[:, None]
    k = torch.fft.rfftfreq(CELLS, 1 / CELLS, dtype=torch.float64) * 2 * pi
    k[-1] = 0  # the unpaired wave

    def left(u: torch.Tensor) -> torch.Tensor:
        rate = (u[..., 2:, :] - u[..., :-2, :]) / 2
        last = 1.5 * u[..., -1:, :] - 2 * u[..., -2:-1, :] + 0.5 * u[..., -3:-2, :]
        curvature = torch.fft.irfft(-(k**2) * torch.fft.rfft(u), n=CELLS)
        return torch.cat([rate, last], -2) * (FRAMES - 1) - 0.05 * curvature[..., 1:, :]

    known = first[0].expand(FRAMES, CELLS)
    matrix = left(grown).flatten(1).mT
    weights = torch.linalg.lstsq(matrix, -left(known).flatten()[:, None]).solution[:, 0]
    expected = known + torch.einsum("n,ntx->tx", weights, grown)
    torch.testing.assert_close(found.fields[0], expected[1:], rtol=0, atol=1e-9)
