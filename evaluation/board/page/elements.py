"""What the page is made of: plain values, not yet escaped, which `elements.html` writes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.board.board import Board, Row
from evaluation.board.page.film import Film
from evaluation.plots import line_style

Style = tuple[str, str]  # colour and dashes of a row's line
_SEED = re.compile(r"[-_,\s(]*\bseed[-_\s=]*\d+\)?", re.IGNORECASE)


@dataclass(frozen=True)
class Name:
    """Whose a row of a table or a line of a drawing is."""

    label: str
    style: Style | None = None  # of the line; None: it is not shown
    floor: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it says; of a score its value.
        kind: class, for its looks.
        score: whether it is a score.
        error: standard error of a score; may be empty.
        rank: of a score; None without one.
    """

    text: str
    kind: str = ""
    score: bool = False
    error: str = ""
    rank: int | None = None


@dataclass(frozen=True)
class Line:
    """A row of a table."""

    name: Name
    cells: Sequence[Cell]
    floor: bool = False  # set apart from the models


@dataclass(frozen=True)
class Table:
    """A table; the first of its titles stands above the names."""

    titles: Sequence[str]
    rows: Sequence[Line]
    about: str = ""


@dataclass(frozen=True)
class Figure:
    """Drawings, tables or a film with what they show.

    Attributes:
        title: in a few words.
        caption: the rest.
        drawings: markup of `plots.inline_svg`.
        tables: below or beside the drawings.
        film: instead of both.
        layout: classes of the columns that they stand in; empty: one below the other.
        wide: whether it takes the whole width of the page.
    """

    title: str
    caption: str
    drawings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    film: Film | None = None
    layout: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Part:
    """A stretch of the page, in this order: what it shows, whose lines, a table, figures."""

    lead: str = ""
    legend: Sequence[Name] = ()
    table: Table | None = None
    figures: Sequence[Figure] = ()


@dataclass(frozen=True)
class Fold:
    """A part that opens at a click."""

    summary: str
    part: Part
    shown: bool = False


@dataclass(frozen=True)
class Chapter:
    """A part of the page that stands for itself.

    Attributes:
        anchor: name within the page.
        title: its heading.
        part: what is seen at once.
        notes: a list of lines.
        folds: what opens at a click.
    """

    anchor: str
    title: str
    part: Part = Part()
    notes: Sequence[str] = ()
    folds: Sequence[Fold] = ()


def row_styles(board: Board) -> dict[str, Style]:
    """Colour of every row's model and dashes of its seed, by label; the same in every drawing."""
    styles: dict[str, Style] = {}
    floors = [row for row in board.rows if row.facts.floor]
    styles |= {row.label: line_style(place, True) for place, row in enumerate(floors)}
    seeds: dict[str, int] = {}  # of every model so far, models in the order of their best seed
    for row in board.rows:
        if not row.facts.floor:
            model = without_seed(row.facts.name)
            place = [*seeds, model].index(model)
            styles[row.label] = line_style(place, False, seeds.get(model, 0))
            seeds[model] = seeds.get(model, 0) + 1
    return styles


def models_of(names: Sequence[Name]) -> list[Name]:
    """Names of lines that stand for all seeds of a model: those of a colour as one."""
    together: dict[Style | None, Name] = {}
    for name in names:
        if name.style is None or name.floor:
            together[name.style] = name
        else:
            style = (name.style[0], "-")
            together.setdefault(style, Name(without_seed(name.label), style))
    return list(together.values())


def without_seed(name: str) -> str:
    """What the seeds of one model are called in common: "nano-seed1" is of "nano"."""
    return _SEED.sub("", name) or name


def name_of(row: Row, style: Style | None = None) -> Name:
    """The name of a row of the board."""
    return Name(row.label, style, row.facts.floor)


def plain_table(titles: Sequence[str], rows: Sequence[Sequence[str]], about: str = "") -> Table:
    """A table of texts, the first of every row being its name."""
    lines = [Line(Name(name), [Cell(text) for text in texts]) for name, *texts in rows]
    return Table(titles, lines, about)


def counted(count: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")
