"""The page: a board, pictures and chapters of other records in, text out.

Styles, drawings and the one script are inline, and nothing is fetched; without the
script every film shows its last frame.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_shards.catalogue import load_ladder
from evaluation.board.board import Board
from evaluation.board.groups import ColumnGroup, family_title, groups_of, rows_in
from evaluation.board.page import tables
from evaluation.board.page.bands import bands_chapter
from evaluation.board.page.curves import (
    observables_chapter,
    rollout_figures,
    scaling_chapter,
    shift_chapter,
)
from evaluation.board.page.elements import (
    Chapter,
    Fold,
    Part,
    Style,
    counted,
    models_of,
    name_of,
    plain_table,
    row_styles,
)
from evaluation.board.page.fields import Films, PicturedModel, films_of
from evaluation.board.references import REFERENCES_TITLE, references_on
from evaluation.board.wording import COST, headline_text, notes
from evaluation.plots import MOST_LINES
from evaluation.tasks.task import group_meanings
from evaluation.templates import templates

_PROVENANCE = (
    "Scores stand in one column only if task hash, shards and number of samples agree. "
    "leaderboard.csv has every value in full."
)
_ROLLOUT = (
    "Each frame's own L2RE, mean over the test trajectories. The models see only the context "
    "and then their own forecasts."
)
_FACTOR = (
    "How many times smaller the error is than that of the best floor. "
    "Below 1 the model is worse than a forecast that knows no physics."
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
    curves = scaling_chapter(board, groups), shift_chapter(board, styles)
    made = (
        *curves,
        bands_chapter(board, styles),
        observables_chapter(board, styles),
        *further,
    )
    chapters = [
        *(
            _group(board, group, styles, films[group.anchor], shown=place == 0)
            for place, group in enumerate(groups)
        ),
        *(chapter for chapter in made if chapter is not None),
        *_notes(board),
        _provenance(board),
    ]
    page = templates(Path(__file__).parent).get_template("page.html")
    return page.render(
        lead=_lead(board),
        contents=_contents(chapters, groups),
        overview=tables.overview(board, groups, styles),
        cost=COST,
        chapters=chapters,
    )


def _contents(chapters: Sequence[Chapter], groups: Sequence[ColumnGroup]) -> dict[str, str]:
    """Anchors and titles of the links to chapters; all ladders of a family go by one."""
    contents = {chapter.anchor: chapter.title for chapter in chapters}
    families = set[str]()
    for group in groups:
        contents[group.anchor] = family_title(group.family)
        if group.family in families:
            del contents[group.anchor]
        families.add(group.family)
    return contents


def _lead(board: Board) -> str:
    models = sum(not row.facts.floor for row in board.rows)
    return (
        f"{counted(models, 'model')} and {counted(len(board.rows) - models, 'floor')} "
        f"on {counted(len(board.columns), 'task')}"
    )


def _group(
    board: Board, group: ColumnGroup, styles: Mapping[str, Style], films: Films, shown: bool
) -> Chapter:
    """Scores of a group, and what folds out below them."""
    lead = _meaning(group) + headline_text(group.columns)
    folds = []
    if factors := tables.factors(board, group):
        folds.append(Fold("Factor over the best floor", Part(_FACTOR, table=factors)))
    legend = [name_of(row, styles[row.label]) for row in rows_in(board, group.columns)]
    if len(legend) > MOST_LINES:
        legend = models_of(legend)
    if rollouts := rollout_figures(board, group, styles):
        curves = Part(_ROLLOUT, legend, figures=rollouts)
        folds.append(Fold("Error along the rollout", curves, shown))
    if films.figures or films.left_out:
        fields = Part(_films_text(films), figures=films.figures)
        folds.append(Fold("Fields", fields, shown))
    if published := references_on(group.columns):
        table = plain_table(published.titles, published.rows)
        folds.append(Fold(REFERENCES_TITLE, Part(published.lead, table=table)))
    table = tables.scores(board, group, styles)
    return Chapter(group.anchor, group.title, Part(lead, table=table), folds=folds)


def _meaning(group: ColumnGroup) -> str:
    """What the group is for, as a sentence; nothing where nobody wrote it down."""
    known = group_meanings().get(group.family, "")
    meaning = known if group.ladder is None else load_ladder(group.ladder).title
    return f"{meaning[:1].upper()}{meaning[1:]}. " if meaning else ""


def _films_text(films: Films) -> str:
    text = "The best model of every task against the truth; error is prediction less truth."
    if films.left_out:
        text += f" Left out to keep the page light: {counted(films.left_out, 'task')}."
    return text


def _notes(board: Board) -> list[Chapter]:
    listed = notes(board)
    return [Chapter("notes", "Notes", notes=listed)] if listed else []


def _provenance(board: Board) -> Chapter:
    folds = [
        Fold(title, Part(table=table))
        for title, table in (
            ("Hash, shards, samples and frames of every task", tables.terms(board)),
            ("Grid, commit, machine and time of every score", tables.origins(board)),
        )
    ]
    return Chapter("provenance", "Provenance", Part(_PROVENANCE), folds=folds)
