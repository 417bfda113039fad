"""The chapter of studies: summaries in, models over seeds out."""

from collections.abc import Sequence

from evaluation.board.page.elements import Chapter, Figure, Part, plain_table
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
    figures = [_figure(summary) for summary in summaries]
    return Chapter("studies", "Over seeds", Part(_LEAD, figures=figures))


def _figure(summary: StudySummary) -> Figure:
    tables = []
    for mixture in mixtures_of(summary):
        standings = [each for each in summary.standings if each.mixture == mixture]
        about = f"{mixture}: {standings[0].corpora} corpora, {standings[0].steps} steps"
        rows = [standing_cells(each) for each in standings]
        tables.append(plain_table(standing_titles(summary), rows, about))
    if rows := win_rows(summary):
        tables.append(plain_table(WIN_TITLES, rows))
    return Figure(summary.title, "", [draw_study(summary)], tables, wide=True)
