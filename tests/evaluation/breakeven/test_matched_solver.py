"""Laws of break-even: power laws are matched exactly, and what saves nothing never pays."""

import math

import numpy as np
import pytest

from evaluation.breakeven.matched import SolverRun, breakeven, matched
from evaluation.breakeven.measure import between_points, grids


def _runs(order: float, work: float) -> list[SolverRun]:
    """A solver of some order: error n^-order, seconds n^work; the corpus itself is the last."""
    coarse = [
        SolverRun(cells=n, seconds=1e-3 * n**work, error=50.0 * n**-order) for n in (8, 16, 24, 32)
    ]
    return [*coarse, SolverRun(cells=64, seconds=1e-3 * 64.0**work, error=0.0)]


@pytest.mark.parametrize("order", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("cells", [9.0, 20.0, 31.5])
def test_between_two_grids_a_power_law_is_met_exactly(order: float, cells: float) -> None:
    found = matched(_runs(order, 3.0), 50.0 * cells**-order)
    assert found.place == "between"
    assert found.cells == pytest.approx(cells)
    assert found.seconds == pytest.approx(1e-3 * cells**3)


def test_beyond_the_ends_the_ends_are_taken() -> None:
    runs = _runs(2.0, 3.0)
    assert matched(runs, 10.0).place == "coarsest"
    assert matched(runs, 10.0).seconds == runs[0].seconds
    best = matched(runs, 1e-9)  # no coarser grid is as good: the corpus's own solver
    assert (best.place, best.seconds) == ("finest", runs[-1].seconds)


def test_a_grid_on_which_the_solver_breaks_down_is_no_match() -> None:
    runs = _runs(2.0, 3.0)
    runs[0] = runs[0].model_copy(update={"error": math.inf})
    assert matched(runs, 100.0).cells == 16


@pytest.mark.parametrize(
    ("upfront", "solver", "forecast", "forecasts"),
    [(100, 3.0, 1.0, 50), (100, 2.9, 1.0, 53), (100, 1.0, 1.0, math.inf), (100, 0.1, 1.0, math.inf),
     (0, 2.0, 1.0, 0)],
)  # fmt: skip
def test_a_cost_is_repaid_by_what_each_forecast_saves(
    upfront: float, solver: float, forecast: float, forecasts: float
) -> None:
    assert breakeven(upfront, solver, forecast) == forecasts


def test_grids_rise_to_that_of_the_corpus() -> None:
    assert grids(64, 128) == [8, 12, 16, 24, 32, 48, 64, 128]
    assert grids(64, 64)[-2:] == [48, 64]
    assert grids(32, 32) == [8, 12, 16, 24, 32]


def test_points_between_points_follow_the_waves() -> None:
    def wave(cells: int) -> np.ndarray:
        y, x = np.meshgrid(np.arange(cells) / cells, np.arange(cells) / cells, indexing="ij")
        return np.cos(2 * np.pi * (3 * x - 2 * y) + 0.4)[None].astype(np.float32)

    np.testing.assert_allclose(between_points(wave(12), (32, 32)), wave(32), atol=1e-6)
