"""Pieces of the page: plain values in, HTML out. Everything that is text is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from evaluation.board.board import Board, Row
from evaluation.plots import line_style

Style = tuple[str, str]  # colour and dashes of a row's line
_DASHES = {"-": "", "--": ' stroke-dasharray="5 3"', ":": ' stroke-dasharray="1.5 3"'}
_DASH_DOT = ' stroke-dasharray="6 2 1.5 2"'


@dataclass(frozen=True)
class Figure:
    """A drawing with what it shows.

    Attributes:
        title: in a few words.
        caption: the rest.
        drawing: HTML, ready made.
        wide: whether it takes the whole width of the page.
    """

    title: str
    caption: str
    drawing: str
    wide: bool = False


@dataclass(frozen=True)
class Chapter:
    """A part of the page that stands for itself.

    Attributes:
        anchor: name within the page.
        title: its heading.
        lead: what the figures show.
        figures: in their order.
        table: HTML that stands above the figures; may be empty.
    """

    anchor: str
    title: str
    lead: str
    figures: tuple[Figure, ...] = ()
    table: str = ""


def row_styles(board: Board) -> dict[str, Style]:
    """Colour and dashes of every row, by label; the same in every drawing."""
    styles: dict[str, Style] = {}
    for floor in (False, True):
        rows = [row for row in board.rows if row.facts.floor == floor]
        styles |= {row.label: line_style(i, floor) for i, row in enumerate(rows)}
    return styles


def counted(count: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def chapter(content: Chapter) -> str:
    """A chapter as a section."""
    lead = f"<p>{escape(content.lead)}</p>" if content.lead else ""
    return section(content.anchor, content.title, lead + content.table + figures(content.figures))


def figures(contents: Sequence[Figure]) -> str:
    """Figures side by side, as many as there is room for; nothing of none."""
    grid = "".join(map(figure, contents))
    return f'<div class="figures">{grid}</div>' if grid else ""


def section(anchor: str, title: str, body: str) -> str:
    return f'<section id="{escape(anchor)}"><h2>{escape(title)}</h2>{body}</section>'


def figure(content: Figure) -> str:
    kind = ' class="wide"' if content.wide else ""
    caption = f"<strong>{escape(content.title)}</strong> {escape(content.caption)}"
    return f"<figure{kind}><figcaption>{caption}</figcaption>{content.drawing}</figure>"


def items(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def folded(summary: str, body: str, *, shown: bool = False) -> str:
    """Something that opens at a click."""
    state = " open" if shown else ""
    return f"<details{state}><summary>{escape(summary)}</summary>{body}</details>"


def chip(colour: str, dashes: str) -> str:
    """A short piece of a row's line, as it is drawn in the curves."""
    return (
        '<svg class="chip" viewBox="0 0 22 8" aria-hidden="true">'
        f'<path d="M0 4H22" stroke="{colour}" stroke-width="3"'
        f"{_DASHES.get(dashes, _DASH_DOT)}/></svg>"
    )


def legend(rows: Sequence[Row], styles: Mapping[str, Style]) -> str:
    """Which line is whose."""
    marks = (f"<li>{chip(*styles[row.label])}{escape(row.label)}{_tag(row)}</li>" for row in rows)
    return f'<ul class="legend">{"".join(marks)}</ul>'


def name_cell(row: Row, styles: Mapping[str, Style] | None = None) -> str:
    """The head of a row of a table."""
    mark = chip(*styles[row.label]) if styles else ""
    return f'<th scope="row">{mark}{breakable(row.label)}{_tag(row)}</th>'


def _tag(row: Row) -> str:
    return ' <span class="tag">floor</span>' if row.facts.floor else ""


def head_cell(text: str) -> str:
    return f'<th scope="row">{breakable(text)}</th>'


def breakable(text: str) -> str:
    """A name that may break after an underscore."""
    return escape(text).replace("_", "_<wbr>")


def cell(label: str, content: str, kind: str = "") -> str:
    """A table cell that carries its column's title along, for narrow screens.

    Args:
        label: title of the column.
        content: HTML.
        kind: class, for its looks.
    """
    attribute = f' class="{kind}"' if kind else ""
    return f'<td data-label="{escape(label)}"{attribute}>{content}</td>'


def table(header: Sequence[str], rows: Iterable[str]) -> str:
    """A table that scrolls by itself where it is too wide."""
    head = "".join(f'<th scope="col">{_title(title)}</th>' for title in header)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def row(head: str, cells: Iterable[str], *, floor: bool = False) -> str:
    kind = ' class="floor"' if floor else ""
    return f"<tr{kind}>{head}{''.join(cells)}</tr>"


def _title(title: str) -> str:
    """A column's title that may break after an underscore or a space, but nowhere else."""
    words = ("_<wbr>".join(_whole(part) for part in word.split("_")) for word in title.split(" "))
    return " ".join(words)


def _whole(part: str) -> str:
    return f'<span class="whole">{escape(part)}</span>'
