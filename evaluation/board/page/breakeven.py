"""Chapter of costs: records of break-even in, a table of every training out."""

from collections.abc import Sequence

from evaluation.board.page.elements import Chapter, Figure, Part, plain_table
from evaluation.breakeven.record import BreakEven
from evaluation.breakeven.table import LEAD, TITLES, rows, spent


def breakeven_chapter(found: Sequence[BreakEven]) -> Chapter | None:
    """None without a record."""
    if not found:
        return None
    figures = [
        Figure(each.model, spent(each), tables=[plain_table(TITLES, rows(each))], wide=True)
        for each in found
    ]
    return Chapter("breakeven", "When a training pays", Part(LEAD, figures=figures))
