"""The solver of boxes: agrees with scipy, solves linear problems to round-off, says what failed."""

import numpy as np
import pytest
import torch
from least_squares_problems import burgers_like, random_boxes
from scipy.optimize import least_squares as scipys

from foundation.constraint.levenberg_marquardt import SolverConfig, least_squares

TIGHT = SolverConfig(tolerance=1e-12, iterations=200)


@pytest.mark.parametrize("curvature", ["exact", "gauss_newton"])
def test_minimisers_are_those_that_scipy_finds(curvature):
    boxes = random_boxes(3)
    config = TIGHT.model_copy(update={"curvature": curvature})
    ending = least_squares(burgers_like, torch.zeros(3, 8).double(), boxes, config)
    assert ending.converged_B.all()
    for box, weights_N in enumerate(ending.weights_BN.numpy()):
        own = [part[box] for part in boxes]
        found = scipys(
            lambda w, own=own: burgers_like(torch.from_numpy(w), *own).numpy(),
            np.zeros(8),
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-12,
        )
        # scipy ends at the root of the round-off of an objective of 100
        np.testing.assert_allclose(weights_N, found.x, atol=1e-6)


def test_boxes_end_alike_in_inference_mode():
    boxes, start = random_boxes(3), torch.zeros(3, 8).double()
    outside = least_squares(burgers_like, start, boxes, TIGHT)
    with torch.inference_mode():
        made_there = tuple(part.clone() for part in boxes)
        inside = least_squares(burgers_like, start.clone(), made_there, TIGHT)
    torch.testing.assert_close(inside.weights_BN, outside.weights_BN, rtol=0, atol=0)


def test_a_box_ends_alike_alone_and_among_others():
    boxes = random_boxes(4)
    together = least_squares(burgers_like, torch.zeros(4, 8).double(), boxes, TIGHT)
    for box in range(4):
        own = tuple(part[box : box + 1] for part in boxes)
        alone = least_squares(burgers_like, torch.zeros(1, 8).double(), own, TIGHT)
        # sums of a batched product may stand in another order
        torch.testing.assert_close(
            alone.weights_BN[0], together.weights_BN[box], rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("curvature", ["exact", "gauss_newton"])
def test_a_linear_problem_is_solved_to_round_off_whatever_the_size_of_its_columns(
    curvature, generator
):
    matrix = torch.randn(2, 60, 10, generator=generator, dtype=torch.float64)
    matrix = matrix * 10.0 ** torch.arange(-4, 6, dtype=torch.float64)
    truth = torch.randn(2, 10, generator=generator, dtype=torch.float64)
    right = (matrix @ truth[..., None]).squeeze(-1)
    config = SolverConfig(tolerance=1e-30, iterations=60, curvature=curvature)
    ending = least_squares(
        lambda w, a, b: a @ w - b, torch.zeros(2, 10).double(), (matrix, right), config
    )
    scale = matrix.norm(dim=1)
    wrong = ((ending.weights_BN - truth) * scale).norm(dim=1) / right.norm(dim=1)
    assert (wrong < 1e-14).all()


def test_near_the_end_a_step_is_accepted_by_the_gradient():
    """By the objective alone, of size 1e2, a solve stalls at about the root of its round-off."""
    ending = least_squares(burgers_like, torch.zeros(3, 8).double(), random_boxes(3), TIGHT)
    assert (ending.gradient_B < 1e-12).all()


def test_exact_curvature_ends_in_few_steps_where_the_residual_stays_large():
    start, boxes = torch.zeros(3, 8).double(), random_boxes(3)
    steps = [
        int(least_squares(burgers_like, start, boxes, SolverConfig(
            tolerance=1e-7, iterations=200, curvature=curvature)).iterations_B.max())
        for curvature in ("exact", "gauss_newton")
    ]  # fmt: skip
    assert steps[0] <= 6
    assert steps[1] > 40


def test_a_box_without_a_minimum_says_so_and_leaves_the_others_alone():
    def falling(weights_N, kind):
        away = torch.exp(-weights_N).sum()[None]
        return torch.where(kind > 0, away, weights_N.sum()[None] - 2)

    kinds = torch.tensor([0.0, 1.0], dtype=torch.float64)
    config = SolverConfig(tolerance=1e-12, iterations=9)
    ending = least_squares(falling, torch.zeros(2, 1).double(), (kinds,), config)
    assert ending.converged_B.tolist() == [True, False]
    assert ending.weights_BN[0].item() == pytest.approx(2, rel=1e-12)
    assert ending.iterations_B[1] == 9
    assert torch.isfinite(ending.weights_BN).all()
    assert ending.gradient_B[1] > 1e-12


def test_a_box_that_is_not_finite_keeps_its_start_and_did_not_converge():
    def root(weights_N, level):
        return (weights_N - level).sqrt()

    levels = torch.tensor([[-4.0], [4.0]], dtype=torch.float64)
    ending = least_squares(root, torch.ones(2, 1).double(), (levels,), SolverConfig(iterations=3))
    assert not ending.converged_B[1]
    assert ending.weights_BN[1].item() == 1
    assert ending.iterations_B.tolist() == [3, 0]


def test_a_step_into_nothing_is_not_taken():
    """The first full step leads to log of a negative number; a damped one does not."""
    level = torch.full((1, 1), 3.0, dtype=torch.float64)
    ending = least_squares(
        lambda w, c: w.log() - c, torch.full((1, 1), 200.0).double(), (level,), TIGHT
    )
    assert ending.converged_B.all()
    assert ending.weights_BN.item() == pytest.approx(float(torch.tensor(3.0).double().exp()))
