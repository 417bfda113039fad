"""The chapter of studies: summaries in, models over seeds out."""

from collections.abc import Iterator, Sequence

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
from evaluation.study.transfer_plots import (
    draw_errors,
    draw_mixtures,
    draw_shifts,
    draw_sizes,
    names_of,
)
from evaluation.study.transfer_summary import StudyTransfer

_LEAD = (
    "Means over seeds ± their standard error: runs of one model differ in initial weights, order "
    "of samples and noise. The geometric mean is that over tasks; ranks are taken among the runs "
    "of a seed. A win is clear if it exceeds twice the standard error of the difference."
)


_WORTH = (
    "Gain is the error from scratch over that after pre-training, both at the learning rate that "
    "validation chose: above 1 pre-training helps, below it harms."
)


def study_chapter(
    summaries: Sequence[StudySummary], transfers: Sequence[StudyTransfer] = ()
) -> Chapter | None:
    """Drawings and tables of every study, and of what was fine-tuned in it; None without one."""
    if not summaries:
        return None
    figures = []
    for summary in summaries:
        figures.append(_figure(summary))
        own = [each for each in transfers if each.title == summary.title]
        figures += [figure for each in own for figure in _fine_tuned(each, summary)]
    return Chapter("studies", "Over seeds", Part(_LEAD, figures=figures))


def _fine_tuned(transfer: StudyTransfer, summary: StudySummary) -> Iterator[Figure]:
    """Errors and gains, as far as there is something to compare."""
    sizes = {point.model: point.parameters_activated for point in summary.points}
    known = {model: size for model, size in sizes.items() if size is not None}
    yield Figure("Error against samples", _WORTH, [draw_errors(transfer)], wide=True)
    if len(known) > 1 and known.keys() >= set(names_of(transfer, "model")):
        sparse = {p.model for p in summary.points if p.parameters_activated != p.parameters_total}
        drawn = draw_sizes(transfer, known, sparse)
        yield Figure("Gain against model size", "", [drawn], wide=True)
    if len(names_of(transfer, "corpus")) > 1:
        about = "Corpora from what was learnt outwards."
        yield Figure("Gain against shift", about, [draw_shifts(transfer)], wide=True)
    if len(names_of(transfer, "mixture")) > 1:
        about = "Below 1 the mixture is the better start."
        yield Figure("One mixture against another", about, [draw_mixtures(transfer)], wide=True)


def _figure(summary: StudySummary) -> Figure:
    tables = []
    for mixture in mixtures_of(summary):
        standings = [each for each in summary.standings if each.mixture == mixture]
        about = f"{mixture}: {standings[0].corpora} corpora, {standings[0].steps} steps"
        rows = [standing_cells(each, standings[0].steps) for each in standings]
        tables.append(plain_table(standing_titles(summary), rows, about))
    if rows := win_rows(summary):
        tables.append(plain_table(WIN_TITLES, rows))
    return Figure(summary.title, "", [draw_study(summary)], tables, wide=True)
