"""Chapter of bands: a board in, what they hold on every corpus and along ladders out."""

from collections.abc import Mapping

from data_shards.catalogue import load_ladder
from evaluation.board.bands import (
    BANDS_LEAD,
    BANDS_TITLES,
    band_cells,
    banded,
    coverage_curves,
    levels,
    misses,
)
from evaluation.board.board import Board
from evaluation.board.page.elements import Cell, Chapter, Figure, Line, Part, Style, Table, name_of
from evaluation.board.shift_plot import draw_shift

_SHIFT = (
    "Below, what the bands of the trained corpus hold where one parameter is led away from it; the "
    "dotted line is what they promise, trained values are marked. Red in the table is what "
    "differs from the promise by more than 2 %."
)


def bands_chapter(board: Board, styles: Mapping[str, Style]) -> Chapter | None:
    """None without a record of bands."""
    lines = []
    for row, record in banded(board):
        kinds = ["", "", "worse" if misses(record) else "", *[""] * 4]
        cells = [Cell(text, kind) for text, kind in zip(band_cells(record), kinds, strict=True)]
        lines.append(Line(name_of(row, styles[row.label]), cells, row.facts.floor))
    curves = coverage_curves(board)
    if not lines and not curves:
        return None
    level = levels(board)[0]
    figures = []
    for ladder, found in sorted(curves.items()):
        known = load_ladder(ladder)
        drawing = draw_shift(found, known, styles, level=level)
        figures.append(Figure(known.title, f"{ladder}: share of the truth in bands", [drawing]))
    legend = [name_of(row, styles[row.label]) for row in board.rows if not row.facts.floor]
    lead = f"{BANDS_LEAD} {_SHIFT}" if figures else BANDS_LEAD
    table = Table(BANDS_TITLES, lines) if lines else None
    return Chapter(
        "coverage",
        "How sure forecasts are",
        Part(lead, legend if figures else (), table, figures),
    )
