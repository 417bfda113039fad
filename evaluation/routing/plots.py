"""Drawings of routing records, inline SVG in the manner of `evaluation.plots`.

Axes: K corpora, L blocks, E routed experts. Blocks and experts are counted from 1.
"""

import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from evaluation.plots import FLOOR_COLOUR, INK, PALETTE, STYLE, inline_svg
from evaluation.records.record import Score
from evaluation.routing.inference import Inference, Look
from evaluation.routing.record import RoutingRecord
from evaluation.routing.usage import CorpusUsage

_SHADES = "Blues"
_BLOCKS_IN_A_COLUMN = 4
_CHECKPOINT = re.compile(r"([-_]?step-?\d+)?(-untrained)?$")
_ON_LIGHT, _ON_DARK = "#10202e", "#ffffff"  # of text on coloured cells, on any page


def draw_confusion(inference: Inference, look: Look, title: str) -> str:
    """Shares of each corpus's samples given to each corpus, in per cent.

    Args:
        inference: names of the corpora.
        look: one block's, or that of all together.
        title: for readers of the drawing's description.
    """
    shares_KK = np.array(look.confusion)
    count = len(inference.corpora)
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"confusion {title}"}):
        figure = Figure(figsize=(0.52 * count + 2.6, 0.42 * count + 1.6), layout="constrained")
        axes = figure.add_subplot()
        _cells(axes, shares_KK, 1.0)
        axes.invert_yaxis()  # the first row on top
        for (true, given), share in np.ndenumerate(shares_KK):
            if share > 0:
                colour = _ON_DARK if share > 0.55 else _ON_LIGHT
                text = f"{100 * share:.0f}" if share >= 0.01 else "<1"
                axes.text(given, true, text, ha="center", va="center", color=colour, fontsize=8)
        _name_ticks(axes, range(count), inference.corpora)
        axes.set_xticks(range(count), inference.corpora, rotation=40, ha="right", fontsize=8)
        axes.set_xlabel("assigned to, % of samples")
        axes.set_ylabel("from")
        return inline_svg(figure, f"Dataset inference on {title}: corpus given against true corpus")


def draw_usage(usage: Sequence[CorpusUsage], title: str) -> str:
    """Mean routing weight of every expert for every corpus, one panel per block.

    Args:
        usage: of every corpus; unseen ones are marked.
        title: for readers of the drawing's description.
    """
    weights_LKE = np.array([each.weight for each in usage]).transpose(1, 0, 2)
    blocks, corpora, experts = weights_LKE.shape
    names = [each.corpus + ("" if each.seen else " (unseen)") for each in usage]
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"usage {title}"}):
        columns = 1 if blocks <= _BLOCKS_IN_A_COLUMN else 2
        rows = -(-blocks // columns)
        size = (columns * (0.2 * experts + 1.4) + 1.4, rows * (0.21 * corpora + 0.4) + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for block, axes in enumerate(panels.flat):
            if block >= blocks:
                axes.set_visible(False)
                continue
            shades = _cells(axes, weights_LKE[block], float(weights_LKE.max()))
            axes.set_title(f"block {block + 1}", fontsize=8, loc="left")
        panels[0, 0].invert_yaxis()
        for axes in panels[:, 0]:
            _name_ticks(axes, range(corpora), names)
        for axes in panels.flat[max(0, blocks - columns) : blocks]:  # the lowest of each column
            axes.set_xticks(range(experts), [str(e) for e in range(1, experts + 1)], fontsize=7)
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("expert")
        bar = figure.colorbar(shades, ax=panels, shrink=0.6, aspect=18, pad=0.02)
        bar.set_label("mean routing weight")
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7, length=2, width=0.5)
        return inline_svg(
            figure, f"Expert usage on {title}: mean routing weight by corpus and block"
        )


def draw_accuracy(record: RoutingRecord) -> str:
    """Accuracy of dataset inference block by block and together, with chance and errors.

    Where strangers were asked about, the areas under the curve by both distances stand beside
    it; chance is 0.5 for these.
    """
    inference, detection = record.findings.inference, record.findings.detection
    ticks = [*(str(block) for block in range(1, len(inference.blocks) + 1)), "all"]
    bars = [("dataset inference, accuracy", [look.accuracy for look in _looks(inference)])]
    if record.findings.few_shot is not None:
        looks = _looks(record.findings.few_shot)
        bars.append(("with unseen corpora, accuracy", [look.accuracy for look in looks]))
    if detection is not None:
        for distance, detector in detection.detectors.items():
            label = f"unseen or not, AUROC by {distance.replace('_', ' ')}"
            bars.append((label, [*detector.blocks, detector.combined]))
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"accuracy {record.model.name}"}):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.add_subplot()
        width = 0.8 / len(bars)
        for place, (label, scores) in enumerate(bars):
            x = np.arange(len(ticks)) + (place - (len(bars) - 1) / 2) * width
            axes.bar(x, [s.value for s in scores], 0.92 * width, color=PALETTE[place], label=label)
            axes.errorbar(
                x, [s.value for s in scores], _errors(scores), fmt="none", ecolor=INK, lw=0.8
            )
        _mark_chance(axes, inference.chance, "chance")
        if detection is not None:
            _mark_chance(axes, 0.5, "chance, AUROC")
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("block")
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=7)
        return inline_svg(figure, f"What the routers of {record.model.name} tell, by block")


def draw_emergence(runs: Mapping[str, Sequence[RoutingRecord]]) -> str:
    """Accuracy and mutual information against training step: of one run a line per block and one of
    all together, of several runs one line each.

    Args:
        runs: checkpoints of every run in the order of their training; see `runs_of`.
    """
    title = ", ".join(runs)
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"emergence {title}"}):
        figure = Figure(figsize=(6.4, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        if len(runs) == 1:
            _draw_blocks(left, right, next(iter(runs.values())))
        for place, (name, run) in enumerate(runs.items()):
            alone = len(runs) == 1
            colour = INK if alone else PALETTE[place % len(PALETTE)]
            together = [record.findings.inference.combined.accuracy for record in run]
            style: dict[str, Any] = {
                "color": colour,
                "lw": 2 if alone else 1.4,
                "marker": "o",
                "ms": 3,
            }
            left.errorbar(
                _steps(run), [s.value for s in together], _errors(together),
                label="all blocks" if alone else name, elinewidth=0.7, **style,
            )  # fmt: skip
            if not alone:
                right.plot(_steps(run), [_information(record) for record in run], **style)
        shown = [record for run in runs.values() for record in run]
        chance = shown[0].findings.inference.chance
        left.axhline(chance, color=FLOOR_COLOUR, ls="--", lw=1, label="chance, corpora shuffled")
        floor = sorted((record.training_step or 0, _shuffled(record)) for record in shown)
        right.plot(*zip(*floor, strict=True), color=FLOOR_COLOUR, ls="--", lw=1)
        left.set(ylim=(0, 1.02), ylabel="accuracy of dataset inference", xlabel="training step")
        bits = "expert-corpus information, bits" if len(runs) == 1 else "bits, mean of blocks"
        right.set(ylabel=bits, xlabel="training step")
        right.set_ylim(bottom=0)
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.grid(color=INK, alpha=0.12, linewidth=0.6)
        columns = 5 if len(runs) == 1 else 3
        figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=7)
        return inline_svg(figure, f"Emergence of dataset inference over training of {title}")


def _draw_blocks(left: Axes, right: Axes, run: Sequence[RoutingRecord]) -> None:
    """Thin lines, one a block."""
    steps = _steps(run)
    for block in range(len(run[0].findings.specialisation)):
        colour = PALETTE[block % len(PALETTE)]
        style: dict[str, Any] = {"color": colour, "lw": 1.3, "marker": "o", "ms": 2.5}
        looks = [record.findings.inference.blocks[block].accuracy for record in run]
        left.errorbar(steps, [s.value for s in looks], _errors(looks), elinewidth=0.7, **style)
        divided = [record.findings.specialisation[block] for record in run]
        bits = [each.mutual_information_bits for each in divided]
        right.plot(steps, bits, label=f"block {block + 1}", **style)


def _steps(run: Sequence[RoutingRecord]) -> list[int]:
    return [record.training_step or 0 for record in run]


def _information(record: RoutingRecord) -> float:
    return fmean(each.mutual_information_bits for each in record.findings.specialisation)


def _shuffled(record: RoutingRecord) -> float:
    return max(each.shuffled_bits for each in record.findings.specialisation)


def runs_of(records: Sequence[RoutingRecord]) -> dict[str, list[RoutingRecord]]:
    """Checkpoints by run, in the order of their training; checkpoints without a step are left out,
    and so are runs of which a single one is there.

    A checkpoint is called RUN-step-N, and one with fresh weights has -untrained behind the name of
    a trained one. Names that tell no runs apart, at steps of which each comes once, are of one run.
    """
    stepped = [record for record in records if record.training_step is not None]
    stepped.sort(key=lambda record: record.training_step or 0)
    runs: dict[str, list[RoutingRecord]] = {}
    for record in stepped:
        runs.setdefault(_CHECKPOINT.sub("", record.model.name), []).append(record)
    trained = [sum(not record.model.floor for record in run) for run in runs.values()]
    if len(set(_steps(stepped))) == len(stepped) and max(trained, default=0) <= 1 and stepped:
        return {stepped[-1].model.name: stepped}
    return {name: run for (name, run), n in zip(runs.items(), trained, strict=True) if n > 1}


def _mark_chance(axes: Axes, value: float, text: str) -> None:
    """A dashed line across, named at its right end."""
    axes.axhline(value, color=FLOOR_COLOUR, ls="--", lw=1)
    axes.annotate(
        text,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color=FLOOR_COLOUR,
    )


def _looks(inference: Inference) -> list[Look]:
    return [*inference.blocks, inference.combined]


def _errors(scores: Sequence[Score]) -> list[float]:
    return [score.standard_error or 0.0 for score in scores]


def _cells(axes: Axes, values: NDArray[np.float64], top: float) -> matplotlib.cm.ScalarMappable:
    """A table of coloured cells, the first row at the bottom."""
    rows, columns = values.shape
    edges_x, edges_y = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    mesh: matplotlib.cm.ScalarMappable = axes.pcolormesh(
        edges_x, edges_y, values, cmap=_SHADES, vmin=0, vmax=top, edgecolors="face", lw=0.2
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return mesh


def _name_ticks(axes: Axes, places: ArrayLike, names: Sequence[str]) -> None:
    axes.set_yticks(places, names, fontsize=8)
