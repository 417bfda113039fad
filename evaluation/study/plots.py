"""Drawings of a study: a summary in, SVG in the manner of `evaluation.plots` out."""

import math
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from evaluation.plots import INK, PALETTE, STYLE, inline_svg, tick_decades
from evaluation.records.table import metric_title
from evaluation.study.summary import StudyPoint, StudySummary
from evaluation.study.table import mixtures_of

_MARKERS = ("o", "s", "^", "D", "v", "P")


def draw_study(summary: StudySummary) -> str:
    """Errors by task of one mixture, or their geometric mean by number of corpora of several."""
    return draw_tasks(summary) if len(mixtures_of(summary)) == 1 else draw_mixtures(summary)


def draw_tasks(summary: StudySummary) -> str:
    """Every run a dot, every model's mean over seeds a bar, task by task."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"study {summary.title}"}):
        figure = Figure(figsize=(7.0, 3.4), layout="constrained")
        axes = figure.add_subplot()
        models = _models(summary.points)
        tasks = list(summary.tasks)
        for place, model in enumerate(models):
            own = [point for point in summary.points if point.model == model]
            _draw_model(axes, own, tasks, place, len(models))
        axes.set_xticks(range(len(tasks)), [_short(task) for task in tasks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="x", length=0)
        axes.set_yscale("log")
        tick_decades(axes.yaxis)
        axes.set_ylabel(_measured(summary))
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
        figure.legend(loc="outside upper center", ncols=len(models), frameon=False, fontsize=8)
        return inline_svg(figure, f"{_measured(summary)} by task: {summary.title}")


def draw_mixtures(summary: StudySummary) -> str:
    """Geometric mean of the errors over tasks against the corpora of the mixture."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"study {summary.title}"}):
        figure = Figure(figsize=(4.6, 3.1), layout="constrained")
        axes = figure.add_subplot()
        for place, model in enumerate(_models(summary.points)):
            own = [each for each in summary.standings if each.model == model]
            own.sort(key=lambda each: each.corpora)
            finite = [each for each in own if math.isfinite(each.geometric_mean.mean)]
            axes.errorbar(
                [each.corpora for each in finite],
                [each.geometric_mean.mean for each in finite],
                yerr=[each.geometric_mean.standard_error or 0.0 for each in finite],
                fmt=f"{_MARKERS[place % len(_MARKERS)]}-",
                color=PALETTE[place % len(PALETTE)],
                linewidth=1.6,
                markersize=4,
                capsize=2,
                label=model,
            )
        corpora = sorted({point.corpora for point in summary.points})
        axes.xaxis.set_major_locator(FixedLocator(corpora))
        axes.set_xlabel("corpora in the mixture")
        axes.set_ylabel(f"{_measured(summary)}, geometric mean of {len(summary.tasks)} tasks")
        axes.set_ylim(bottom=0)
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8)
        return inline_svg(figure, f"{_measured(summary)} against corpora: {summary.title}")


def _draw_model(
    axes: Axes, points: Sequence[StudyPoint], tasks: Sequence[str], place: int, models: int
) -> None:
    colour, width = PALETTE[place % len(PALETTE)], 0.7 / models
    for position, task in enumerate(tasks):
        centre = position + (place - (models - 1) / 2) * width
        errors = [point.errors[task] for point in points]
        finite = [error for error in errors if math.isfinite(error) and error > 0]
        label = points[0].model if position == 0 else None
        marker = _MARKERS[place % len(_MARKERS)]
        axes.plot([centre] * len(finite), finite, marker, color=colour, markersize=4, label=label)
        if finite and len(finite) == len(errors):
            mean = sum(finite) / len(finite)
            ends = (centre - 0.4 * width, centre + 0.4 * width)
            axes.plot(ends, (mean, mean), color=colour, linewidth=1.6)


def _models(points: Sequence[StudyPoint]) -> list[str]:
    return list(dict.fromkeys(point.model for point in points))


def _measured(summary: StudySummary) -> str:
    titles = dict.fromkeys(metric_title(headline) for headline in summary.tasks.values())
    return next(iter(titles)) if len(titles) == 1 else "error"


def _short(task: str) -> str:
    """A task as it fits below an axis: its corpus, broken after its family."""
    return task.removeprefix("zero_shot_").replace("_", "\n", 1)
