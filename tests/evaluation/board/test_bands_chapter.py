"""Bands on the board: what they hold beside what they promise, and how a shift breaks it."""

from board_records import board_record

from evaluation.board.bands import band_cells, banded, coverage_curves, misses
from evaluation.board.board import build_board
from evaluation.board.leaderboard import board_markdown
from evaluation.board.page.render import render_page
from evaluation.records.record import Calibration, Record, Score
from evaluation.tasks.task import load_tasks

TASKS = load_tasks()
LADDER = "ns_viscosity"


def _banded(name: str, task: str, covered: float, floor: bool = False) -> Record:
    record = board_record(name, 0.8, TASKS[task], floor=floor)
    calibration = Calibration(
        level=0.9,
        corpus="fno_ns_1e-3",
        split="validation",
        shard_fingerprint="6" * 64,
        samples=64,
        factors=((1.5,),) * TASKS[task].rollout_frames,
    )
    scores = {
        **record.scores,
        "coverage": Score(value=covered, standard_error=0.01),
        "band_width": Score(value=0.3, standard_error=0.01),
        "crps": Score(value=0.05, standard_error=0.01),
    }
    return record.model_copy(update={"calibration": calibration, "scores": scores})


RECORDS = [
    _banded("sure", "bands_fno_ns_1e-5", 0.83),
    _banded("honest", "bands_fno_ns_1e-5", 0.905),
    _banded("persistence", "bands_fno_ns_1e-5", 0.91, floor=True),
    _banded("honest", f"bands_shift_{LADDER}_0.001", 0.9),
    _banded("honest", f"bands_shift_{LADDER}_0.0001", 0.55),
    _banded("honest", f"bands_shift_{LADDER}_1e-05", 0.31),
]


def test_a_row_tells_what_bands_hold_of_what_they_promise() -> None:
    board = build_board(RECORDS)
    rows = {row.label: record for row, record in banded(board)}
    assert set(rows) == {"sure", "honest", "persistence"}
    assert band_cells(rows["sure"]) == [
        *("fno_ns_1e-5", "90%", "83.0 ± 1.0 %", "0.300", "0.0500", "–", "64 of validation"),
    ]
    assert {label: misses(record) for label, record in rows.items()} == {
        "sure": True,
        "honest": False,
        "persistence": False,
    }


def test_along_a_ladder_coverage_is_drawn_from_rung_to_rung() -> None:
    curves = coverage_curves(build_board(RECORDS))
    (curve,) = curves[LADDER]
    assert curve.model == "honest"
    assert [(point.value, point.error) for point in curve.points] == [
        (1e-5, 0.31),
        (1e-4, 0.55),
        (1e-3, 0.9),
    ]


def test_page_and_markdown_say_it() -> None:
    board = build_board(RECORDS)
    page = render_page(board, {})
    assert "How sure forecasts are" in page
    assert "83.0 ± 1.0 %" in page
    assert "share of the truth in bands" in page
    assert "| sure" in board_markdown(board).split("## How sure forecasts are")[1]
    plain = render_page(build_board([board_record("a", 0.1, TASKS["zero_shot_cfdbench"])]), {})
    assert "How sure forecasts are" not in plain


def test_records_calibrated_on_other_data_do_not_share_a_column() -> None:
    other = RECORDS[0].calibration
    assert other is not None
    elsewhere = RECORDS[0].model_copy(
        update={"calibration": other.model_copy(update={"shard_fingerprint": "7" * 64})}
    )
    board = build_board([elsewhere, *RECORDS[1:3]])
    assert len(board.set_aside) == 1
