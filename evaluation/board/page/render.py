"""The page: a board, pictures and chapters of other records in, text out.

Styles, drawings and the one script are inline, and nothing is fetched; without the
script every film shows its last frame.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from data_shards.catalogue import load_ladder
from evaluation.board.board import Board
from evaluation.board.groups import Group, family_title, groups_of, rows_in
from evaluation.board.page import elements, tables
from evaluation.board.page.curves import rollout_figures, scaling_chapter, shift_chapter
from evaluation.board.page.elements import Chapter, Style, row_styles
from evaluation.board.page.fields import Films, PicturedModel, films_of
from evaluation.board.wording import cost_text, headline_text, notes
from evaluation.tasks.task import group_meanings

_TEMPLATE = Path(__file__).parent / "page.html"
_PROVENANCE = (
    "<p>Scores stand in one column only if task hash, shards and number of samples agree. "
    "leaderboard.csv has every value in full.</p>"
)
_ROLLOUT = (
    "<p>Each frame's own L2RE, mean over the test trajectories. The models see only the context "
    "and then their own forecasts.</p>"
)
_FACTOR = (
    "<p>How many times smaller the error is than that of the better floor. "
    "Below 1 the model is worse than a forecast that knows no physics.</p>"
)


def render_page(
    board: Board, pictures: Mapping[str, PicturedModel], further: Sequence[Chapter] = ()
) -> str:
    """The page as text.

    Args:
        board: rows and columns.
        pictures: by the name of the task; may lack any.
        further: chapters made of other records than the board's.
    """
    styles, groups = row_styles(board), groups_of(board)
    films = films_of(groups, pictures)
    chapters = (scaling_chapter(board, groups), shift_chapter(board, styles), *further)
    sections = {
        group.anchor: (group.title, _group(board, group, styles, films[group.anchor], place == 0))
        for place, group in enumerate(groups)
    }
    sections |= {c.anchor: (c.title, elements.chapter(c)) for c in chapters if c is not None}
    if listed := notes(board):
        sections["notes"] = "Notes", elements.section("notes", "Notes", elements.items(listed))
    sections["provenance"] = "Provenance", _provenance(board)
    return Template(_TEMPLATE.read_text()).substitute(
        lead=escape(_lead(board)),
        contents=_contents({anchor: title for anchor, (title, _) in sections.items()}, groups),
        overview=tables.overview(board, groups, styles),
        cost=escape(cost_text(board)),
        sections="\n".join(text for _, text in sections.values()),
    )


def _contents(titles: Mapping[str, str], groups: Sequence[Group]) -> str:
    """Links to the sections; all ladders of a family go by one."""
    hidden = set[str]()
    named = dict(titles)
    families = set[str]()
    for group in groups:
        named[group.anchor] = family_title(group.family)
        if group.family in families:
            hidden.add(group.anchor)
        families.add(group.family)
    return "".join(
        f'<a href="#{escape(anchor)}">{escape(title)}</a>'
        for anchor, title in named.items()
        if anchor not in hidden
    )


def _lead(board: Board) -> str:
    models = sum(not row.facts.floor for row in board.rows)
    return (
        f"{elements.counted(models, 'model')} and "
        f"{elements.counted(len(board.rows) - models, 'floor')} "
        f"on {elements.counted(len(board.columns), 'task')}"
    )


def _group(
    board: Board, group: Group, styles: Mapping[str, Style], films: Films, shown: bool
) -> str:
    """Scores of a group, and what folds out below them."""
    body = f"<p>{escape(_meaning(group) + headline_text(group.columns))}</p>"
    body += tables.scores(board, group, styles)
    if factors := tables.factors(board, group):
        body += elements.folded("Factor over the better floor", _FACTOR + factors)
    rows = rows_in(board, group.columns)
    drawn = elements.figures(rollout_figures(board, group, styles))
    body += elements.folded(
        "Error along the rollout", _ROLLOUT + elements.legend(rows, styles) + drawn, shown=shown
    )
    if films.figures or films.left_out:
        text = escape(_films_text(films))
        drawn = elements.figures(films.figures)
        body += elements.folded("Fields", f"<p>{text}</p>{drawn}", shown=shown)
    return elements.section(group.anchor, group.title, body)


def _meaning(group: Group) -> str:
    """What the group is for, as a sentence; nothing where nobody wrote it down."""
    known = group_meanings().get(group.family, "")
    meaning = known if group.ladder is None else load_ladder(group.ladder).title
    return f"{meaning[:1].upper()}{meaning[1:]}. " if meaning else ""


def _films_text(films: Films) -> str:
    text = "The best model of every task against the truth; error is prediction less truth."
    if films.left_out:
        text += f" Left out to keep the page light: {elements.counted(films.left_out, 'task')}."
    return text


def _provenance(board: Board) -> str:
    terms, origins = (
        elements.folded(title, table)
        for title, table in (
            ("Hash, shards, samples and frames of every task", tables.terms(board)),
            ("Grid, commit, machine and time of every score", tables.origins(board)),
        )
    )
    return elements.section("provenance", "Provenance", _PROVENANCE + terms + origins)
