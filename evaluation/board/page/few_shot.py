"""The chapter of few-shot learning: sweeps in, what a checkpoint is worth out."""

from collections.abc import Sequence
from html import escape

from evaluation.board.page import elements
from evaluation.board.page.elements import Chapter, Figure
from evaluation.transfer.plots import draw_transfer
from evaluation.transfer.record import TransferSummary
from evaluation.transfer.table import crossing_text, gain_cells, gain_titles


def few_shot_chapter(summaries: Sequence[TransferSummary]) -> Chapter | None:
    """A curve and a table of every sweep; None without one."""
    if not summaries:
        return None
    return Chapter(
        anchor="few-shot-curves",
        title="Learning from a few trajectories",
        lead="The same budget of training from the checkpoint and from scratch. Arrows lead to "
        "the number of trajectories that learning from scratch takes for the same error.",
        figures=tuple(_sweep(summary) for summary in summaries),
    )


def _sweep(summary: TransferSummary) -> Figure:
    caption = f"from {summary.checkpoint}, recipe {summary.recipe}, routers {summary.router}"
    if crossing := crossing_text(summary):
        caption += f". {crossing}"
    drawn = draw_transfer(summary) + _table(summary)
    beside = f'<div class="beside data">{drawn}</div>'
    return Figure(summary.corpus, caption, beside, wide=True)


def _table(summary: TransferSummary) -> str:
    titles = gain_titles(summary)
    rows = []
    for gain in summary.gains:
        head, *texts = gain_cells(gain)
        cells = map(elements.cell, titles[1:], map(escape, texts))
        rows.append(elements.row(elements.head_cell(head), cells))
    return elements.table(titles, rows)
