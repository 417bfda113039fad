"""Tables of the page: a board in, their cells out."""

from collections.abc import Mapping, Sequence

from evaluation.board.board import Board, Column, Row
from evaluation.board.board import Cell as Scored
from evaluation.board.groups import ColumnGroup, families_of, family_title, rows_in
from evaluation.board.page.elements import Cell, Line, Style, Table, name_of, plain_table
from evaluation.board.wording import (
    ORIGINS,
    TERMS,
    factor_cell,
    flops_cell,
    mean_rank,
    origin_cells,
    score_cell,
    terms_cells,
)
from evaluation.records.table import parameters

_COSTS = ("Parameters", "Activated", "FLOPs per frame")


def overview(board: Board, groups: Sequence[ColumnGroup], styles: Mapping[str, Style]) -> Table:
    """Rank, mean rank over all tasks and each family of them, size and cost of every model."""
    families = families_of(groups) if len(families_of(groups)) > 1 else {}
    titles = [family_title(family) for family in families]
    lines = []
    for row in board.rows:
        floor = row.facts.floor
        ranks = [str(row.rank), mean_rank(row, board.columns)]
        ranks += [mean_rank(row, columns) for columns in families.values()]
        kinds = ["mean", "mean", *("part" for _ in families)]
        costs = (_size(row.facts.parameters_total), _size(row.facts.parameters_activated))
        cells = [
            *(Cell("–" if floor else rank, kind) for rank, kind in zip(ranks, kinds, strict=True)),
            *(Cell(cost, "size") for cost in (*costs, flops_cell(row))),
        ]
        lines.append(Line(name_of(row, styles[row.label]), cells, floor))
    return Table(["Model", "Rank", "Mean rank", *titles, *_COSTS], lines)


def _size(count: int) -> str:
    return parameters(count) if count else "–"


def scores(board: Board, group: ColumnGroup, styles: Mapping[str, Style]) -> Table:
    """Headline of every model on the tasks of a group."""
    lines = []
    for row in rows_in(board, group.columns):
        floor = row.facts.floor
        cells = [Cell("–" if floor else mean_rank(row, group.columns), "mean")]
        cells += [_score(row.cells.get(column.task.name)) for column in group.columns]
        lines.append(Line(name_of(row, styles[row.label]), cells, floor))
    return Table(["Model", "Mean rank", *_titles(group)], lines)


def _score(scored: Scored | None) -> Cell:
    value, _, error = score_cell(scored).partition(" ± ")
    if scored is None:
        return Cell(value, score=True)
    return Cell(value, "best" if scored.best else "", True, error, scored.rank)


def factors(board: Board, group: ColumnGroup) -> Table | None:
    """How many times better every model is than the best floor; None without models."""
    lines = [
        Line(name_of(row), [_factor(row.cells.get(column.task.name)) for column in group.columns])
        for row in rows_in(board, group.columns)
        if not row.facts.floor
    ]
    return Table(["Model", *_titles(group)], lines) if lines else None


def _factor(scored: Scored | None) -> Cell:
    worse = scored is not None and scored.factor is not None and scored.factor < 1
    return Cell(factor_cell(scored), "worse" if worse else "")


def _titles(group: ColumnGroup) -> list[str]:
    return [column.title for column in group.columns]


def terms(board: Board) -> Table:
    """What all scores of a column have in common."""
    return plain_table(TERMS, [terms_cells(column) for column in board.columns])


def origins(board: Board) -> Table:
    """Where every score came from."""
    lines = [
        _origin(row, column)
        for row in board.rows
        for column in board.columns
        if column.task.name in row.cells
    ]
    return Table(["Model", *ORIGINS], lines)


def _origin(row: Row, column: Column) -> Line:
    texts = origin_cells(column, row.cells[column.task.name].record)
    return Line(name_of(row), [Cell(text) for text in texts])
