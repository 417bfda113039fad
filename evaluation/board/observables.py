"""Observables along ladders: a board in, what states were predicted to show and what they show out.

Pure. An observable is a pair of scores, NAME of the prediction and NAME_exact of the truth; neither
is an error, so they make no ranks, but the curve over the parameter is what a physicist looks at.
"""

from collections import defaultdict
from dataclasses import dataclass

from evaluation.board.board import Board
from evaluation.board.shift import ShiftOf, shift_of
from evaluation.metrics.names import METRICS

EXACT = "_exact"

Points = tuple[tuple[float, float], ...]  # value of the ladder's parameter, observable


@dataclass(frozen=True)
class Observed:
    """One observable along one ladder.

    Attributes:
        ladder: its name.
        observable: name of its score.
        exact: of the true states, by growing parameter.
        predicted: of every row that was judged on a rung, by its label.
    """

    ladder: str
    observable: str
    exact: Points
    predicted: dict[str, Points]


def observables() -> tuple[str, ...]:
    """Names of all observables."""
    return tuple(name.removesuffix(EXACT) for name in METRICS if name.endswith(EXACT))


def observed_along_ladders(board: Board, place: ShiftOf = shift_of) -> list[Observed]:
    """All observables along all ladders of a board, ladders in order.

    Args:
        board: rows and columns.
        place: where a corpus stands on a ladder.
    """
    exact: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    predicted: dict[tuple[str, str], dict[str, dict[float, float]]] = defaultdict(dict)
    for row in board.rows:
        for cell in row.cells.values():
            shift, scores = place(cell.record.task.corpus), cell.record.scores
            for name in observables() if shift is not None else ():
                if shift is not None and name in scores and name + EXACT in scores:
                    key = shift.ladder, name
                    exact[key][shift.value] = scores[name + EXACT].value
                    own = predicted[key].setdefault(row.label, {})
                    own[shift.value] = scores[name].value
    return [
        Observed(
            *key,
            exact=_sorted(values),
            predicted={label: _sorted(own) for label, own in predicted[key].items()},
        )
        for key, values in sorted(exact.items())
        if len(values) > 1
    ]


def _sorted(values: dict[float, float]) -> Points:
    return tuple(sorted(values.items()))
