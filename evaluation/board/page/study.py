"""The chapter of studies: summaries in, models over seeds out."""

from collections.abc import Sequence
from html import escape

from evaluation.board.page import elements
from evaluation.board.page.elements import Chapter, Figure
from evaluation.study.plots import draw_study
from evaluation.study.summary import StudySummary
from evaluation.study.table import (
    WIN_TITLES,
    mixtures_of,
    standing_cells,
    standing_titles,
    win_rows,
)

_LEAD = (
    "Means over seeds ± their standard error: runs of one model differ in initial weights, order "
    "of samples and noise. Mean is the geometric one over tasks; ranks are taken among the runs "
    "of a seed. A win is clear if it exceeds twice the standard error of the difference."
)


def study_chapter(summaries: Sequence[StudySummary]) -> Chapter | None:
    """A drawing and tables of every study; None without one."""
    if not summaries:
        return None
    figures = tuple(_figure(summary) for summary in summaries)
    return Chapter("studies", "Over seeds", _LEAD, figures)


def _figure(summary: StudySummary) -> Figure:
    tables = []
    for mixture in mixtures_of(summary):
        standings = [each for each in summary.standings if each.mixture == mixture]
        about = f"{mixture}: {standings[0].corpora} corpora, {standings[0].steps} steps"
        rows = [standing_cells(each) for each in standings]
        tables.append(f"<p>{escape(about)}</p>{_table(standing_titles(summary), rows)}")
    if rows := win_rows(summary):
        tables.append(_table(WIN_TITLES, rows))
    return Figure(summary.title, "", draw_study(summary) + "".join(tables), wide=True)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    made = []
    for head, *texts in rows:
        cells = map(elements.cell, titles[1:], map(escape, texts))
        made.append(elements.row(elements.head_cell(head), cells))
    return elements.table(titles, made)
