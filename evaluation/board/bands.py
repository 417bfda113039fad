"""How sure forecasts are: a board in, coverage of bands by corpus and along ladders out. Pure."""

from collections.abc import Iterator, Sequence

from evaluation.board.board import Board, Row
from evaluation.board.shift import ShiftCurve, shift_curves, shift_of
from evaluation.records.record import Record, Score
from evaluation.records.table import number

COVERAGE = "coverage"
BANDS_TITLES = ("Model", "Corpus", "Promised", "Covered", "Width", "CRPS", "Spread/skill", "From")
BANDS_LEAD = (
    "Bands about the forecast, widened until they held as much as promised of the calibration "
    "trajectories, which nothing was learnt from; covered is what they hold of the test. Widths "
    "and CRPS are relative to the truth's size; of members the spread is told over the error of "
    "their mean."
)
# Of a share among so few trajectories; what differs by more is marked.
TOLERANCE = 0.02


def banded(board: Board) -> Iterator[tuple[Row, Record]]:
    """Rows and records with bands on corpora of no ladder, corpus by corpus."""
    for column in board.columns:
        if shift_of(column.task.corpus) is None:
            for row in board.rows:
                cell = row.cells.get(column.task.name)
                if cell is not None and cell.record.calibration is not None:
                    yield row, cell.record


def band_cells(record: Record) -> list[str]:
    """One record with bands, in the order of `BANDS_TITLES` from the corpus on."""
    calibration = record.calibration
    assert calibration is not None
    scores = record.scores
    return [
        record.task.corpus,
        f"{calibration.level:.0%}",
        _share(scores.get(COVERAGE)),
        *(_value(scores.get(name)) for name in ("band_width", "crps", "spread_skill")),
        f"{calibration.samples} of {calibration.split}",
    ]


def misses(record: Record) -> bool:
    """Whether bands hold clearly more or less than they promise."""
    covered = record.scores.get(COVERAGE)
    if covered is None or record.calibration is None:
        return False
    return abs(covered.value - record.calibration.level) > TOLERANCE


def coverage_curves(board: Board) -> dict[str, tuple[ShiftCurve, ...]]:
    """Ladder -> coverage of every model along it, labelled as the board's rows; no floors."""
    labels = {(row.facts.name, row.facts.fingerprint): row.label for row in board.rows}
    records = [
        _as_coverage(cell.record)
        for row in board.rows
        for cell in row.cells.values()
        if not row.facts.floor
        and cell.record.calibration is not None
        and COVERAGE in cell.record.scores
    ]
    return {
        ladder: tuple(
            ShiftCurve(labels[c.model, c.fingerprint], c.fingerprint, c.headline, c.points)
            for c in curves
        )
        for ladder, curves in shift_curves(records).items()
        if any(len(curve.points) > 1 for curve in curves)
    }


def _as_coverage(record: Record) -> Record:
    """A record whose headline is its coverage, for a drawing."""
    task = record.task.model_copy(update={"headline": COVERAGE})
    return record.model_copy(update={"task": task, "along": None})


def levels(board: Board) -> Sequence[float]:
    """What is promised on this board, rising."""
    found = {
        cell.record.calibration.level
        for row in board.rows
        for cell in row.cells.values()
        if cell.record.calibration is not None
    }
    return sorted(found)


def _share(score: Score | None) -> str:
    if score is None:
        return "–"
    error = "" if score.standard_error is None else f" ± {100 * score.standard_error:.1f}"
    return f"{100 * score.value:.1f}{error} %"


def _value(score: Score | None) -> str:
    return "–" if score is None else number(score.value)
