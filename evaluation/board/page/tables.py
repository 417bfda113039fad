"""Tables of the page: a board in, HTML out."""

from collections.abc import Mapping, Sequence
from html import escape

from evaluation.board.board import Board, Cell, Column, Row
from evaluation.board.groups import Group, families_of, family_title, rows_in
from evaluation.board.page import elements
from evaluation.board.page.elements import Style
from evaluation.board.wording import (
    ORIGINS,
    TERMS,
    factor_cell,
    flops_cell,
    mean_rank,
    origin_cells,
    score_cell,
    seconds_cell,
    terms_cells,
)
from evaluation.records.table import parameters

_TIME = "Time per frame"


def overview(board: Board, groups: Sequence[Group], styles: Mapping[str, Style]) -> str:
    """Rank, mean rank over all tasks and each family of them, size and cost of every model."""
    families = families_of(groups) if len(families_of(groups)) > 1 else {}
    columns = {"Mean rank": board.columns}
    columns |= {family_title(family): found for family, found in families.items()}
    costs = {
        "Parameters": lambda row: _size(row.facts.parameters_total),
        "Activated": lambda row: _size(row.facts.parameters_activated),
        "FLOPs per frame": flops_cell,
    }
    rows = []
    for row in board.rows:
        floor = row.facts.floor
        cells = [elements.cell("Rank", "–" if floor else str(row.rank), "mean")]
        for title, chosen in columns.items():
            text = "–" if floor else escape(mean_rank(row, chosen))
            cells.append(elements.cell(title, text, "mean" if title == "Mean rank" else "part"))
        cells += [elements.cell(title, text(row), "size") for title, text in costs.items()]
        cells.append(elements.cell(_TIME, seconds_cell(row)))
        rows.append(elements.row(elements.name_cell(row, styles), cells, floor=floor))
    return elements.table(["Model", "Rank", *columns, *costs, _TIME], rows)


def _size(count: int) -> str:
    return parameters(count) if count else "–"


def scores(board: Board, group: Group, styles: Mapping[str, Style]) -> str:
    """Headline of every model on the tasks of a group."""
    titles = [column.title for column in group.columns]
    rows = []
    for row in rows_in(board, group.columns):
        floor = row.facts.floor
        rank = "–" if floor else escape(mean_rank(row, group.columns))
        cells = [elements.cell("Mean rank", rank, "mean")]
        cells += [_score(column, row.cells.get(column.task.name)) for column in group.columns]
        rows.append(elements.row(elements.name_cell(row, styles), cells, floor=floor))
    return elements.table(["Model", "Mean rank", *titles], rows)


def _score(column: Column, cell: Cell | None) -> str:
    value, _, error = score_cell(cell).partition(" ± ")
    text = f'<span class="value">{escape(value)}</span>'
    if error:
        text += f' <span class="error">± {escape(error)}</span>'
    if cell is not None and cell.rank is not None:
        text += f' <span class="rank">#{cell.rank}</span>'
    return elements.cell(column.title, text, "best" if cell is not None and cell.best else "")


def factors(board: Board, group: Group) -> str:
    """How many times better every model is than the better floor; empty without models."""
    rows = [
        elements.row(
            elements.name_cell(row),
            (_factor(column, row.cells.get(column.task.name)) for column in group.columns),
        )
        for row in rows_in(board, group.columns)
        if not row.facts.floor
    ]
    if not rows:
        return ""
    return elements.table(["Model", *(column.title for column in group.columns)], rows)


def _factor(column: Column, cell: Cell | None) -> str:
    worse = cell is not None and cell.factor is not None and cell.factor < 1
    return elements.cell(column.title, escape(factor_cell(cell)), "worse" if worse else "")


def terms(board: Board) -> str:
    """What all scores of a column have in common."""
    rows = []
    for column in board.columns:
        name, *texts = terms_cells(column)
        cells = [
            elements.cell(label, escape(text)) for label, text in zip(TERMS[1:], texts, strict=True)
        ]
        rows.append(elements.row(elements.head_cell(name), cells))
    return elements.table(TERMS, rows)


def origins(board: Board) -> str:
    """Where every score came from."""
    rows = [
        elements.row(elements.name_cell(row), _origin(row, column))
        for row in board.rows
        for column in board.columns
        if column.task.name in row.cells
    ]
    return elements.table(["Model", *ORIGINS], rows)


def _origin(row: Row, column: Column) -> list[str]:
    texts = origin_cells(column, row.cells[column.task.name].record)
    return [elements.cell(label, escape(text)) for label, text in zip(ORIGINS, texts, strict=True)]
