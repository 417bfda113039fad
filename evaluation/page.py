"""The leaderboard as one self-contained HTML page: a board in, text out.

Styles and drawings are inline, there is no script, and nothing is fetched.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from data_shards.catalogue import card_names, load_card
from evaluation.board import Board, Cell, Column, Row
from evaluation.plots import Curve, draw_curves, draw_fields, line_style
from evaluation.samples import Picture
from evaluation.table import parameters
from evaluation.wording import (
    ORIGINS,
    TERMS,
    factor_cell,
    headline_text,
    mean_rank,
    notes,
    origin_cells,
    score_cell,
    terms_cells,
)

_TEMPLATE = Path(__file__).parent / "page.html"


@dataclass(frozen=True)
class PicturedModel:
    """Fields to show for a column, and whose they are."""

    label: str
    picture: Picture


def render_page(board: Board, pictures: Mapping[str, PicturedModel]) -> str:
    """The page as text.

    Args:
        board: rows and columns.
        pictures: by the name of the task; may lack any.
    """
    styles = _styles(board)
    listed = notes(board)
    return Template(_TEMPLATE.read_text()).substitute(
        lead=escape(_lead(board)),
        headline=escape(headline_text(board)),
        scores=_scores(board, styles),
        factors=_factors(board),
        legend=_legend(board, styles),
        curves="".join(_curves(board, column, styles) for column in board.columns),
        fields=_fields(board, pictures),
        notes=_section("Notes", f"<ul>{_items(listed)}</ul>") if listed else "",
        terms=_terms(board),
        origins=_origins(board),
    )


def _lead(board: Board) -> str:
    models = sum(not row.facts.floor for row in board.rows)
    floors = len(board.rows) - models
    return (
        f"{_counted(models, 'model')} and {_counted(floors, 'floor')} "
        f"on {_counted(len(board.columns), 'task')}"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _items(lines: Iterable[str]) -> str:
    return "".join(f"<li>{escape(line)}</li>" for line in lines)


def _styles(board: Board) -> dict[str, tuple[str, str]]:
    """Colour and dashes of every row, by label."""
    styles: dict[str, tuple[str, str]] = {}
    for floor in (False, True):
        rows = [row for row in board.rows if row.facts.floor == floor]
        styles |= {row.label: line_style(i, floor) for i, row in enumerate(rows)}
    return styles


def _name_cell(row: Row, styles: Mapping[str, tuple[str, str]] | None = None) -> str:
    chip = _chip(*styles[row.label]) if styles else ""
    floor = ' <span class="tag">floor</span>' if row.facts.floor else ""
    return f'<th scope="row">{chip}{escape(row.label)}{floor}</th>'


def _chip(colour: str, dashes: str) -> str:
    """A short piece of the row's line, as it is drawn in the curves."""
    array = {"-": "", "--": ' stroke-dasharray="5 3"', ":": ' stroke-dasharray="1.5 3"'}
    dash = array.get(dashes, ' stroke-dasharray="6 2 1.5 2"')
    return (
        '<svg class="chip" viewBox="0 0 22 8" aria-hidden="true">'
        f'<path d="M0 4H22" stroke="{colour}" stroke-width="3"{dash}/></svg>'
    )


def _cell(label: str, content: str, kind: str = "") -> str:
    """A table cell that carries its column's title along, for narrow screens."""
    attribute = f' class="{kind}"' if kind else ""
    return f'<td data-label="{escape(label)}"{attribute}>{content}</td>'


def _table(header: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{_title(title)}</th>' for title in header)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _title(title: str) -> str:
    """A column's title that may break after an underscore or a space, but nowhere else."""
    words = ("_<wbr>".join(_whole(part) for part in word.split("_")) for word in title.split(" "))
    return " ".join(words)


def _whole(part: str) -> str:
    return f'<span class="whole">{escape(part)}</span>'


def _scores(board: Board, styles: Mapping[str, tuple[str, str]]) -> str:
    titles = [column.title for column in board.columns]
    rows = []
    for row in board.rows:
        cells = [
            _cell("Mean rank", "–" if row.facts.floor else mean_rank(row, board), "mean"),
            _cell("Parameters (activated)", _size(row), "size"),
            *(_score(column, row.cells.get(column.task.name)) for column in board.columns),
        ]
        kind = ' class="floor"' if row.facts.floor else ""
        rows.append(f"<tr{kind}>{_name_cell(row, styles)}{''.join(cells)}</tr>")
    return _table(["Model", "Mean rank", "Parameters (activated)", *titles], rows)


def _size(row: Row) -> str:
    if row.facts.floor:
        return "–"
    total, activated = row.facts.parameters_total, row.facts.parameters_activated
    note = "" if total == activated else f' <span class="error">({parameters(activated)})</span>'
    return f'<span class="value">{parameters(total)}</span>{note}'


def _score(column: Column, cell: Cell | None) -> str:
    value, _, error = score_cell(cell).partition(" ± ")
    text = f'<span class="value">{escape(value)}</span>'
    if error:
        text += f' <span class="error">± {escape(error)}</span>'
    if cell is not None and cell.rank is not None:
        text += f' <span class="rank">#{cell.rank}</span>'
    return _cell(column.title, text, "best" if cell is not None and cell.best else "")


def _factors(board: Board) -> str:
    models = [row for row in board.rows if not row.facts.floor]
    if not models:
        return ""
    rows = []
    for row in models:
        cells = [(column, row.cells.get(column.task.name)) for column in board.columns]
        texts = [
            _cell(column.title, escape(factor_cell(cell)), _factor_kind(cell))
            for column, cell in cells
        ]
        rows.append(f"<tr>{_name_cell(row)}{''.join(texts)}</tr>")
    table = _table(["Model", *(column.title for column in board.columns)], rows)
    lead = (
        "<p>How many times smaller the error is than that of the better floor. "
        "Below 1 the model is worse than a forecast that knows no physics.</p>"
    )
    return _section("Factor over the better floor", lead + table)


def _factor_kind(cell: Cell | None) -> str:
    return "worse" if cell is not None and cell.factor is not None and cell.factor < 1 else ""


def _legend(board: Board, styles: Mapping[str, tuple[str, str]]) -> str:
    marks = (
        f"<li>{_chip(*styles[row.label])}{escape(row.label)}"
        + (' <span class="tag">floor</span>' if row.facts.floor else "")
        + "</li>"
        for row in board.rows
    )
    return f'<ul class="legend">{"".join(marks)}</ul>'


def _curves(board: Board, column: Column, styles: Mapping[str, tuple[str, str]]) -> str:
    curves = [
        Curve(*styles[row.label], row.cells[column.task.name].record.error_per_frame)
        for row in board.rows
        if column.task.name in row.cells
    ]
    drawing = draw_curves(curves, column.title)
    caption = (
        f"<strong>{escape(column.title)}</strong> {column.num_samples} test samples, "
        f"{column.task.context_frames} frames given"
    )
    return f"<figure><figcaption>{caption}</figcaption>{drawing}</figure>"


def _fields(board: Board, pictures: Mapping[str, PicturedModel]) -> str:
    figures = []
    for column in board.columns:
        shown = pictures.get(column.task.name)
        if shown is None:
            continue
        drawing = draw_fields(shown.picture, 0, column.title)
        shows = f"{shown.label}: {_first_channel(column.task.corpus)}, first test trajectory"
        caption = f"<strong>{escape(column.title)}</strong> {escape(shows)}"
        figures.append(f"<figure><figcaption>{caption}</figcaption>{drawing}</figure>")
    if not figures:
        return ""
    lead = "<p>The best model of every task against the truth.</p>"
    return _section("Fields", f'{lead}<div class="figures">{"".join(figures)}</div>')


def _first_channel(corpus: str) -> str:
    """Name and unit of what is drawn; a record may be of a corpus that has no card here."""
    if corpus not in card_names():
        return "first channel"
    channel = load_card(corpus).channels[0]
    return channel.name if channel.unit == "1" else f"{channel.name} in {channel.unit}"


def _terms(board: Board) -> str:
    rows = []
    for column in board.columns:
        name, *texts = terms_cells(column)
        cells = (_cell(label, escape(text)) for label, text in zip(TERMS[1:], texts, strict=True))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return _table(TERMS, rows)


def _origins(board: Board) -> str:
    rows = []
    for row in board.rows:
        for column in board.columns:
            if (cell := row.cells.get(column.task.name)) is None:
                continue
            texts = origin_cells(column, cell.record)
            cells = (_cell(label, escape(text)) for label, text in zip(ORIGINS, texts, strict=True))
            rows.append(f"<tr>{_name_cell(row)}{''.join(cells)}</tr>")
    return _table(["Model", *ORIGINS], rows)
