"""Chapters of curves: a board in, error against frames, sizes and distances out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from data_shards.catalogue import load_ladder
from evaluation.board.board import Board, Column
from evaluation.board.groups import ColumnGroup, families_of, family_title
from evaluation.board.observables import observed_along_ladders
from evaluation.board.observables_plot import draw_observed
from evaluation.board.page.elements import Chapter, Figure, Part, Style, counted, name_of
from evaluation.board.resonances import resonance_panels
from evaluation.board.scaling import ScalingCurve, scaling_curves
from evaluation.board.scaling_plot import draw_scaling
from evaluation.board.shift import ShiftCurve, shift_curves
from evaluation.board.shift_plot import draw_shift
from evaluation.plots import Curve, draw_curves, readable
from evaluation.records.table import metric_title

_SCALING = (
    "Geometric mean over the tasks, of models that were judged on all of them. Through three or "
    "more sizes of one kind a power law is fitted, error proportional to parameters to the power "
    "of the exponent."
)
_OBSERVED = (
    "Means over the predicted states of a rung; rings are those of the exact states. Labels are of "
    "the shaded range."
)
_SHIFT = (
    "One parameter is led away from its trained values, which are marked; the dashed grey line is "
    "the best floor. Where a rung is a range, a thin line goes through its samples in groups."
)


_RESONANCES = (
    "below, the distance of every omega from the nearest resonance, and the share of problems "
    "drawn there that are drawn again, because next to one u is large whatever the source"
)


def rollout_figures(
    board: Board, group: ColumnGroup, styles: Mapping[str, Style]
) -> tuple[Figure, ...]:
    """Each predicted frame's error on the tasks of a group that predict several."""
    several = [column for column in group.columns if column.task.rollout_frames > 1]
    return tuple(_rollout(board, column, styles) for column in several)


def _rollout(board: Board, column: Column, styles: Mapping[str, Style]) -> Figure:
    name = column.task.name
    curves = [
        Curve(*styles[row.label], row.cells[name].record.error_per_frame)
        for row in board.rows
        if name in row.cells
    ]
    caption = f"{column.num_samples} test samples, {column.task.context_frames} frames given"
    drawn = readable(curves)
    if len(drawn) < len(curves):
        caption += "; of a model's seeds the mean, and shaded from the least to the largest error"
    return Figure(column.title, caption, [draw_curves(drawn, column.title)])


def scaling_chapter(board: Board, groups: Sequence[ColumnGroup]) -> Chapter | None:
    """Error against size, family by family; None without two models to compare."""
    figures = []
    for family, columns in families_of(groups).items():
        columns = tuple(column for column in columns if not column.task.higher_is_better)
        curves = scaling_curves(board, columns)
        if len(_sizes(curves)) > 1:
            figures.append(_scaling(family_title(family), columns, curves))
    if not figures:
        return None
    return Chapter(
        anchor="scaling",
        title="Error against size",
        part=Part(_SCALING, figures=figures),
    )


def _sizes(curves: Iterable[ScalingCurve]) -> set[tuple[int, int]]:
    return {(point.activated, point.total) for curve in curves for point in curve.points}


def _scaling(title: str, columns: Sequence[Column], curves: Sequence[ScalingCurve]) -> Figure:
    metrics = " and ".join(sorted({metric_title(column.task.headline) for column in columns}))
    metrics += ", geometric mean" if len(columns) > 1 else ""
    models = sum(len(curve.points) for curve in curves)
    caption = f"{counted(models, 'model')} on {counted(len(columns), 'task')}"
    drawings = [
        draw_scaling(curves, "activated", metrics, title),
        draw_scaling(curves, "total", metrics, title),
    ]
    return Figure(title, caption, drawings, layout="beside", wide=True)


def shift_chapter(board: Board, styles: Mapping[str, Style]) -> Chapter | None:
    """Error along the ladders; None where no model stands on two rungs of one."""
    labels = {(row.facts.name, row.facts.fingerprint): row.label for row in board.rows}
    records = [cell.record for row in board.rows for cell in row.cells.values()]
    figures = []
    for ladder, found in sorted(shift_curves(records).items()):
        named = [replace(c, model=labels[c.model, c.fingerprint]) for c in found]
        for headline in sorted({curve.headline for curve in named}):
            curves = [curve for curve in named if curve.headline == headline]
            if any(len(curve.points) > 1 for curve in curves):
                figures.append(_shift(ladder, curves, styles))
    if not figures:
        return None
    legend = [name_of(row, styles[row.label]) for row in board.rows if not row.facts.floor]
    return Chapter(
        anchor="shift",
        title="Error away from the training data",
        part=Part(_SHIFT, legend, figures=figures),
    )


def observables_chapter(board: Board, styles: Mapping[str, Style]) -> Chapter | None:
    """What predicted states show beside what exact ones do; None without states on a ladder."""
    figures = []
    for observed in observed_along_ladders(board):
        ladder = load_ladder(observed.ladder)
        drawing = draw_observed(observed, ladder, styles)
        figures.append(Figure(ladder.title, metric_title(observed.observable), [drawing]))
    if not figures:
        return None
    legend = [name_of(row, styles[row.label]) for row in board.rows]
    return Chapter("observables", "What the states show", Part(_OBSERVED, legend, figures=figures))


def _shift(ladder: str, curves: Sequence[ShiftCurve], styles: Mapping[str, Style]) -> Figure:
    known = load_ladder(ladder)
    panels = resonance_panels(known)
    about = f"{ladder}; {_RESONANCES}" if panels else ladder
    return Figure(known.title, about, [draw_shift(curves, known, styles, panels)])
