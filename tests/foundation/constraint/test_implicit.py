"""Gradients through a solve: finite differences agree, and only the whole Hessian will do."""

import pytest
import torch
from least_squares_problems import burgers_like, random_boxes
from torch.autograd.gradcheck import GradcheckError

from foundation.constraint.implicit import solved
from foundation.constraint.levenberg_marquardt import SolverConfig, least_squares

SMALL = random_boxes(1, rows=4, weights=2)
# To round-off: finite differences of 1e-6 magnify what is left by 1e6.
END = SolverConfig(tolerance=1e-14, iterations=200)
START = least_squares(burgers_like, torch.zeros(1, 2).double(), SMALL, END).weights_BN


def weights_of(*boxes, curvature="exact"):
    return solved(
        burgers_like, START, boxes, SolverConfig(tolerance=1e-13, iterations=4), curvature
    ).weights_BN


def asking(boxes):
    return tuple(part.clone().requires_grad_() for part in boxes)


def test_gradients_are_those_of_finite_differences_by_gradchecks_own_tolerances():
    assert torch.autograd.gradcheck(weights_of, asking(SMALL))


def test_without_the_curvature_of_the_residual_they_are_not():
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(
            lambda right: weights_of(SMALL[0], right, curvature="gauss_newton"), asking(SMALL[1:])
        )


def gradient_at(tolerance, curvature="exact", steps="gauss_newton"):
    """Of a sum of weights, and the gradient at which the solve stopped."""
    boxes = asking(random_boxes(2))
    config = SolverConfig(tolerance=tolerance, iterations=400, curvature=steps)
    ending = solved(burgers_like, torch.zeros(2, 8).double(), boxes, config, curvature)
    (ending.weights_BN * torch.arange(1, 9)).sum().backward()
    return torch.cat([part.grad.flatten() for part in boxes]), float(ending.gradient_B.max())


def test_the_error_falls_with_the_gradient_at_which_a_solve_stops():
    exact, _ = gradient_at(1e-12)
    errors = {}
    for tolerance in (1e-1, 1e-3, 1e-5, 1e-7):
        found, stopped = gradient_at(tolerance)
        assert stopped <= tolerance
        errors[tolerance] = float((found - exact).norm() / exact.norm())
    falling = list(errors.values())
    assert falling == sorted(falling, reverse=True)
    assert errors[1e-7] < 1e-6
    without, _ = gradient_at(1e-12, "gauss_newton")
    assert (without - exact).norm() / exact.norm() > 0.05


def test_memory_does_not_grow_with_the_iterations():
    kept = []
    for tolerance in (1e-1, 1e-12):
        boxes, sizes = asking(random_boxes(2)), []
        config = SolverConfig(tolerance=tolerance, iterations=400, curvature="gauss_newton")
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor, lambda t: t
        ):
            ending = solved(burgers_like, torch.zeros(2, 8).double(), boxes, config)
        kept.append((int(ending.iterations_B.max()), sum(sizes)))
    (few, before), (many, after) = kept
    assert many > 4 * few
    assert before == after > 0


def test_weights_that_nothing_determines_have_no_gradient_instead_of_an_infinite_one():
    jets, right = random_boxes(1, rows=30, weights=3)
    jets[..., 2] = jets[..., 1]  # two fields alike
    boxes = asking((jets, right))
    ending = solved(burgers_like, torch.zeros(1, 3).double(), boxes, END)
    ending.weights_BN.sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in boxes)
    assert boxes[1].grad.abs().max() > 1e-4


def test_a_box_that_did_not_converge_still_gives_a_finite_gradient():
    def root(weights_N, level):
        return (weights_N - level).sqrt()

    level = torch.tensor([[-4.0], [4.0]], dtype=torch.float64, requires_grad=True)
    ending = solved(root, torch.ones(2, 1).double(), (level,), SolverConfig(iterations=2))
    assert not ending.converged_B.any()
    ending.weights_BN.sum().backward()
    assert torch.isfinite(level.grad).all()
    assert level.grad[1] == 0
