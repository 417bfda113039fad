"""Laws of the error at the sides of a domain."""

import pytest
import torch
from forecasts import forecast_of

from evaluation.metrics.registry import measure

FOUR = ("left", "right", "bottom", "top")


def _value(pred: torch.Tensor, true: torch.Tensor, sides: tuple[str, ...] = FOUR) -> float:
    return float(
        measure(("boundary_error",), forecast_of(pred, true, sides=sides))["boundary_error"]
    )


def test_an_error_spread_evenly_gives_the_value_of_l2re() -> None:
    true = torch.full((1, 3, 1, 6, 6), 2.0)
    assert _value(true + 0.5, true) == pytest.approx(0.25)


def test_an_error_inside_does_not_count() -> None:
    true = torch.ones(1, 2, 1, 6, 6)
    pred = true.clone()
    pred[..., 1:-1, 1:-1] = 5.0
    assert _value(pred, true) == 0.0


@pytest.mark.parametrize(
    ("side", "cell"), [("left", (2, 0)), ("right", (2, -1)), ("bottom", (0, 2)), ("top", (-1, 2))]
)
def test_rows_go_upwards_and_each_side_is_its_own(side: str, cell: tuple[int, int]) -> None:
    true = torch.ones(1, 1, 1, 4, 4)
    pred = true.clone()
    pred[0, 0, 0, cell[0], cell[1]] = 3.0
    # 4 cells of a side, one of which errs by 2: sqrt(4 / 4) against a truth of 1
    assert _value(pred, true, (side,)) == pytest.approx(1.0)
    others = tuple(name for name in FOUR if name != side)
    assert _value(pred, true, others) == 0.0


def test_corners_count_once() -> None:
    true = torch.ones(1, 1, 1, 4, 4)
    pred = true.clone()
    pred[0, 0, 0, 0, 0] = 1 + 12**0.5  # 12 cells stand at the sides of 4 x 4
    assert _value(pred, true) == pytest.approx(1.0)


def test_a_wall_at_rest_is_measured_against_the_flow_inside() -> None:
    true = torch.zeros(1, 1, 1, 4, 4)
    true[..., 1:-1, 1:-1] = 1.0  # mean square 1/4
    pred = true.clone()
    pred[..., 0, :] = 0.5
    assert _value(pred, true, ("bottom",)) == pytest.approx(0.5 / 0.5)
