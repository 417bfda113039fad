"""Groups of columns: a board in, the tables it is better read as out. Pure.

A column stands in one group, the first of its task's in the order below; rungs of one
ladder make a group of their own, in the order of its parameter.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data_shards.card import Shift
from evaluation.board.board import Board, Column, Row
from evaluation.board.shift import ShiftOf, shift_of

# Others follow by name; a task that is in several belongs to the first.
ORDER = ("zero_shot", "downstream", "ood", "bands", "bands_shift", "rollout", "few_shot")
_TITLES = {
    "zero_shot": "Zero-shot",
    "downstream": "Downstream corpora",
    "ood": "Out of distribution",
    "bands": "Bands",
    "bands_shift": "Bands out of distribution",
    "rollout": "Long rollouts",
    "few_shot": "Few-shot",
    "the_well": "The Well",
    "pdearena_conditioned": "PDEArena, conditioned",
    "": "Other tasks",
}


@dataclass(frozen=True)
class ColumnGroup:
    """Columns that are read together.

    Attributes:
        family: name of the tasks' group; empty for tasks of none.
        ladder: that all columns are rungs of; None for other tasks.
        columns: at least one; each has the name of its corpus, or of its task where two tasks
            of the group share a corpus.
    """

    family: str
    ladder: str | None
    columns: tuple[Column, ...]

    @property
    def title(self) -> str:
        title = family_title(self.family)
        return title if self.ladder is None else f"{title}: {self.ladder}"

    @property
    def anchor(self) -> str:
        """A name of its own within the board."""
        return "-".join(filter(None, (self.family or "other", self.ladder)))


def family_title(family: str) -> str:
    """A group of tasks as people write it."""
    return _TITLES.get(family, family.replace("_", " ").capitalize())


def groups_of(board: Board, place: ShiftOf = shift_of) -> tuple[ColumnGroup, ...]:
    """All columns of a board, each in one group.

    Args:
        board: at least one column.
        place: where a corpus stands on a ladder.
    """
    members: dict[tuple[str, str | None], list[tuple[Shift | None, Column]]] = defaultdict(list)
    for column in board.columns:
        shift = place(column.task.corpus)
        ladder = None if shift is None else shift.ladder
        members[_family(column.task.groups), ladder].append((shift, column))
    groups = []
    for family, ladder in sorted(members, key=lambda key: (_rank(key[0]), key[1] or "")):
        found = members[family, ladder]
        found.sort(key=lambda pair: 0.0 if pair[0] is None else pair[0].value)
        groups.append(ColumnGroup(family, ladder, _titled([column for _, column in found])))
    return tuple(groups)


def _titled(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Among fewer columns shorter titles tell them apart."""
    shared = Counter(column.task.corpus for column in columns)
    return tuple(
        replace(column, title=task.corpus if shared[task.corpus] == 1 else task.name)
        for column, task in ((column, column.task) for column in columns)
    )


def families_of(groups: Sequence[ColumnGroup]) -> dict[str, tuple[Column, ...]]:
    """Family -> the columns of all its groups, in the order of the groups."""
    families: dict[str, tuple[Column, ...]] = {}
    for group in groups:
        families[group.family] = (*families.get(group.family, ()), *group.columns)
    return families


def mean_rank_in(row: Row, columns: Sequence[Column]) -> float | None:
    """The mean rank of a row over some columns; None for a floor or a model not judged there."""
    cells = (row.cells.get(column.task.name) for column in columns)
    ranks = [cell.rank for cell in cells if cell is not None and cell.rank is not None]
    return sum(ranks) / len(ranks) if ranks else None


def rows_in(board: Board, columns: Sequence[Column]) -> tuple[Row, ...]:
    """Rows with a score in some of the columns: the best first, floors last."""
    names = [column.task.name for column in columns]
    judged = {row.label: sum(name in row.cells for name in names) for row in board.rows}
    rows = [row for row in board.rows if judged[row.label]]
    most = max(judged.values())
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                row.facts.floor,
                judged[row.label] < most,
                mean_rank_in(row, columns) or 0.0,
                row.label,
            ),
        )
    )


def _family(groups: Sequence[str]) -> str:
    return min(groups, key=_rank, default="")


def _rank(family: str) -> tuple[int, str]:
    known = ORDER.index(family) if family in ORDER else len(ORDER)
    return (len(ORDER) + 1 if family == "" else known), family
