"""Laws of scaling curves: power laws are found again, tasks weigh alike, drawings say so."""

import math
import xml.etree.ElementTree as ET

import pytest
from board_records import TASKS, board_record

from evaluation.board.board import Board, build_board
from evaluation.board.scaling import ScalingCurve, fit_power_law, scaling_curves
from evaluation.board.scaling_plot import draw_scaling, exponent
from evaluation.records.record import Record

NAMES = ("zero_shot_cfdbench", "zero_shot_pdebench_dr")
SIZES = (1_000_000, 10_000_000, 100_000_000)


def _records(slope: float = -0.25) -> list[Record]:
    """Mixtures on a power law of their total parameters; the second task is ten times harder."""
    return [
        board_record(f"m{size}", harder * size**slope, TASKS[name], size=size)
        for size in SIZES
        for name, harder in zip(NAMES, (1.0, 10.0), strict=True)
    ]


def _curves(board: Board) -> tuple[ScalingCurve, ...]:
    return scaling_curves(board, board.columns)


@pytest.mark.parametrize("slope", [-0.5, -0.1, 0.3])
def test_a_power_law_is_found_again(slope: float) -> None:
    law = fit_power_law(SIZES, [3.0 * size**slope for size in SIZES])
    assert law is not None
    # Sums of a few logarithms of order 10 in double precision.
    assert law.exponent == pytest.approx(slope, abs=1e-12)
    assert law.coefficient == pytest.approx(3.0, rel=1e-10)
    assert law(5e6) == pytest.approx(3.0 * 5e6**slope, rel=1e-10)
    assert law.exponent_error is None, "three points leave no freedom worth an error"


def test_the_error_of_an_exponent_is_that_of_least_squares() -> None:
    """Residuals +d, -d, -d, +d at x = 0, 1, 2, 3 change no slope; s^2 = 4 d^2 / 2, Sxx = 5."""
    d = 0.1
    errors = [math.exp(-x + sign * d) for x, sign in enumerate((1, -1, -1, 1))]
    law = fit_power_law([math.exp(x) for x in range(4)], errors)
    assert law is not None
    assert law.exponent == pytest.approx(-1.0, abs=1e-12)
    assert law.exponent_error == pytest.approx(math.sqrt(2 * d**2 / 5), rel=1e-9)
    assert exponent(law) == "−1.00 ± 0.063"


def test_two_sizes_are_no_law_however_many_models() -> None:
    assert fit_power_law([1.0, 1.0, 2.0, 2.0], [0.1, 0.2, 0.3, 0.4]) is None


def test_tasks_weigh_alike_however_hard_they_are() -> None:
    (curve,) = _curves(build_board(_records()))
    assert [point.total for point in curve.points] == list(SIZES)
    assert [point.activated for point in curve.points] == [size // 2 for size in SIZES]
    for point in curve.points:
        assert point.error == pytest.approx(math.sqrt(10.0) * point.total**-0.25)
        # Both headlines have 5%: the mean of two independent logarithms has 5% / sqrt(2).
        assert point.standard_error == pytest.approx(point.error * 0.05 / math.sqrt(2))
    assert curve.by_total is not None
    assert curve.by_activated is not None
    assert curve.by_total.exponent == pytest.approx(-0.25)
    assert curve.by_activated.exponent == pytest.approx(-0.25)


def test_floors_diverged_models_and_those_not_judged_on_all_tasks_are_no_points() -> None:
    task = TASKS[NAMES[0]]
    others = [
        board_record("persistence", 0.1, task, floor=True),
        board_record("half", 0.1, task, size=5),
        *(board_record("burst", math.inf, TASKS[name], size=7) for name in NAMES),
    ]
    assert _curves(build_board(_records() + others)) == _curves(build_board(_records()))


def test_kinds_have_curves_of_their_own_and_order_does_not_matter() -> None:
    dense = [board_record("fno", 0.5, TASKS[name], kind="fno", size=10) for name in NAMES]
    records = _records() + dense
    curves = _curves(build_board(records))
    assert [curve.model_type for curve in curves] == ["fno", "moe_pot"]
    assert curves[0].by_total is None
    assert _curves(build_board(records[::-1])) == curves


def test_a_drawing_names_models_kinds_and_exponents() -> None:
    dense = [board_record("<fno> $x$", 0.5, TASKS[name], kind="fno", size=10) for name in NAMES]
    curves = _curves(build_board(_records() + dense))
    drawing = draw_scaling(curves, "total", "L2RE", "Zero-shot & more")
    text = " ".join("".join(e.itertext()) for e in ET.fromstring(drawing).iter())
    assert "moe_pot: exponent −0.250" in text
    assert "m1000000" in text
    assert "<fno> $x$" in text
    assert "total parameters" in text
    assert drawing == draw_scaling(curves, "total", "L2RE", "Zero-shot & more")
    assert drawing != draw_scaling(curves, "activated", "L2RE", "Zero-shot & more")
