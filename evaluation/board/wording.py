"""The words of a leaderboard: values of a board in, the text of cells and notes out.

Markdown and HTML say the same things, so both take their words from here.
"""

from collections.abc import Sequence

from evaluation.board.board import Board, Cell, Column, Row
from evaluation.board.groups import mean_rank_in
from evaluation.records.record import Record
from evaluation.records.table import metric_title, number

COST = (
    "FLOPs of one predicted frame of one sample are counted from the configuration. Seconds of a "
    "score, told with its origin, hold reading and scoring, beside whatever else ran on that "
    "machine; speed is measured by `foundation bench`."
)


def score_cell(cell: Cell | None) -> str:
    """`0.0682 ± 0.0011`."""
    if cell is None:
        return "–"
    score = cell.record.headline
    text = number(score.value)
    if score.standard_error is not None and cell.record.num_non_finite == 0:
        text += f" ± {number(score.standard_error, digits=2)}"
    return text


def row_label(row: Row) -> str:
    """The name of a row, which says of a floor that it is one."""
    return f"{row.label} (floor)" if row.facts.floor else row.label


def mean_rank(row: Row, columns: Sequence[Column]) -> str:
    """The mean rank over some columns; says so where the model was not judged on all of them."""
    if row.facts.floor:
        return "floor"
    mean = mean_rank_in(row, columns)
    if mean is None:
        return "–"
    judged = sum(column.task.name in row.cells for column in columns)
    return f"{mean:.2f}" + ("" if judged == len(columns) else f" ({judged} of {len(columns)})")


def flops_cell(row: Row) -> str:
    """`3.21 G` floating-point operations of a forecast frame."""
    count = row.facts.flops_per_frame
    if row.facts.floor or count is None:
        return "–"
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{number(count / size)} {unit}"
    return str(count)


def factor_cell(cell: Cell | None) -> str:
    """`12.3 x`; below 1 the model is worse than the floor."""
    if cell is None or cell.factor is None:
        return "–"
    return f"{number(cell.factor)} ×"


def notes(board: Board) -> list[str]:
    """What a reader must know beside the numbers."""
    lines = [
        f"{column.title}: no floor was judged; add one with `foundation evaluate "
        f"floor:persistence floor:context_mean --tasks {column.task.name} ...`"
        for column in board.columns
        if not column.has_floor
    ]
    for row in board.rows:
        for cell in row.cells.values():
            if cell.record.num_non_finite:
                lines.append(
                    f"{row.label} on {cell.record.task.corpus}: the forecast of "
                    f"{cell.record.num_non_finite} of {cell.record.num_samples} samples is not "
                    "finite; its score is infinite"
                )
    lines += [
        f"set aside: {aside.record.model.name} on {aside.record.task.name} of "
        f"{aside.record.provenance.date}: {aside.reason}"
        for aside in board.set_aside
    ]
    return lines


def headline_text(columns: Sequence[Column]) -> str:
    """What the numbers of a table of scores are."""
    metrics = sorted({_headline_name(column) for column in columns})
    taken = " or ".join(sorted({column.task.aggregation for column in columns}))
    return (
        f"{', '.join(metrics)}, {taken} over test trajectories ± bootstrap standard error; "
        "the best model of a column is bold, #n is the rank. Floors know no physics and "
        "are not ranked."
    )


def _headline_name(column: Column) -> str:
    """The metric, and which way is better where it is not the usual one."""
    title = metric_title(column.task.headline)
    return f"{title} (higher is better)" if column.task.higher_is_better else title


TERMS = ("Task", "Hash", "Shards", "Samples", "Context", "Predicted")
ORIGINS = ("Task", "Grid", "Commit", "Machine", "Seconds", "Date")


def terms_cells(column: Column) -> list[str]:
    """What all scores of a column have in common, in the order of `TERMS`."""
    task = column.task
    return [
        f"{task.name} v{task.version}",
        task.hash[:10],
        column.shard_fingerprint[:10],
        str(column.num_samples),
        str(task.context_frames),
        str(task.rollout_frames),
    ]


def origin_cells(column: Column, record: Record) -> list[str]:
    """Where one score came from, in the order of `ORIGINS`; the CSV has it in full."""
    origin = record.provenance
    commit, _, dirty = origin.git_commit.partition("-")
    every = "" if origin.stride == 1 else f", 1 in {origin.stride}"
    return [
        column.title,
        f"{origin.resolution}²{every}",
        commit[:10] + (f"-{dirty}" if dirty else ""),
        f"{origin.machine.cpu}, {origin.machine.cores} cores, {origin.machine.device}",
        f"{record.seconds:.1f}",
        origin.date[:10],
    ]
