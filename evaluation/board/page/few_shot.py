"""The chapter of few-shot learning: sweeps in, what a checkpoint is worth out."""

from collections.abc import Sequence

from evaluation.board.page.elements import Chapter, Figure, Part, plain_table
from evaluation.transfer.plots import draw_transfer
from evaluation.transfer.record import TransferSummary
from evaluation.transfer.table import crossing_text, gain_cells, gain_titles

_LEAD = (
    "The same budget of training from the checkpoint and from scratch. Arrows lead to the number "
    "of trajectories that learning from scratch takes for the same error."
)


def few_shot_chapter(summaries: Sequence[TransferSummary]) -> Chapter | None:
    """A curve and a table of every sweep; None without one."""
    if not summaries:
        return None
    figures = [_sweep(summary) for summary in summaries]
    title = "Learning from a few trajectories"
    return Chapter("few-shot-curves", title, Part(_LEAD, figures=figures))


def _sweep(summary: TransferSummary) -> Figure:
    caption = f"from {summary.checkpoint}, recipe {summary.recipe}, routers {summary.router}"
    if crossing := crossing_text(summary):
        caption += f". {crossing}"
    return Figure(
        summary.corpus,
        caption,
        [draw_transfer(summary)],
        [plain_table(gain_titles(summary), [gain_cells(gain) for gain in summary.gains])],
        layout="beside data",
        wide=True,
    )
