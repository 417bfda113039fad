"""Four drawings of fine-tuning in a study: cells in, SVG in the manner of `evaluation.plots` out.

Errors against samples, and three times what pre-training is worth, as the error from scratch over
that of the fine-tuned: against the size of a model, the distance of a corpus from what was
learnt, and after one mixture against another. Above 1 it helps, below it harms.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product

import matplotlib
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from evaluation.plots import FLOOR_COLOUR, INK, PALETTE, STYLE, inline_svg, tick_decades
from evaluation.study.transfer_summary import StudyTransfer, TransferCell

_MARKERS = ("o", "s", "^", "D", "v", "P")
_SCRATCH = "from scratch"


def draw_errors(transfer: StudyTransfer) -> Markup:
    """Error against number of samples, a panel per model and corpus, a line per mixture."""
    models, corpora = names_of(transfer, "model"), by_distance(names_of(transfer, "corpus"))
    mixtures = names_of(transfer, "mixture")

    def panel(axes: Axes, model: str, corpus: str) -> None:
        own = [c for c in transfer.cells if (c.model, c.corpus) == (model, corpus)]
        for place, mixture in enumerate(mixtures):
            cells = [c for c in own if c.mixture == mixture and c.pretrained]
            _line(axes, cells, lambda c: c.pretrained, place, f"pre-trained on {mixture}")
        cells = [c for c in own if c.mixture == own[0].mixture and c.scratch] if own else []
        _line(axes, cells, lambda c: c.scratch, len(mixtures), _SCRATCH)
        _samples(axes, own)
        tick_decades(axes.yaxis)

    return _panels(transfer, models, corpora, panel, "error against samples", _measured(transfer))


def draw_sizes(
    transfer: StudyTransfer, parameters: Mapping[str, int], sparse: Collection[str] = ()
) -> Markup:
    """Gain against the parameters that touch a sample, a panel per number of samples.

    Args:
        transfer: of a study.
        parameters: by model.
        sparse: models of which a sample touches a part, dashed: no size of the others.
    """
    corpora = by_distance(names_of(transfer, "corpus"))
    mixtures, sizes = names_of(transfer, "mixture"), _sizes(transfer.cells)

    def panel(axes: Axes, mixture: str, samples: int) -> None:
        axes.set_xscale("log")
        for place, corpus in enumerate(corpora):
            cells = _gained(transfer, corpus=corpus, trajectories=samples, mixture=mixture)
            cells.sort(key=lambda c: parameters[c.model])
            for dash, wanted in (("-", False), ("--", True)):
                own = [cell for cell in cells if (cell.model in sparse) == wanted]
                label = f"{corpus}, sparse" if wanted else corpus
                if own:
                    _gain(axes, [parameters[c.model] for c in own], own, place, label, dash)
        axes.set_xlabel("activated parameters")

    return _panels(transfer, mixtures, sizes, panel, "gain against model size", "gain", "samples")


def draw_shifts(transfer: StudyTransfer) -> Markup:
    """Gain against the distance from what was learnt, rung by rung, a panel per model."""
    models, mixtures = names_of(transfer, "model"), names_of(transfer, "mixture")
    corpora, sizes = by_distance(names_of(transfer, "corpus")), _sizes(transfer.cells)

    def panel(axes: Axes, mixture: str, model: str) -> None:
        for place, samples in enumerate(sizes):
            cells = _gained(transfer, model=model, trajectories=samples, mixture=mixture)
            cells.sort(key=lambda c: corpora.index(c.corpus))
            places = [corpora.index(c.corpus) for c in cells]
            _gain(axes, places, cells, place, f"{samples} samples")
        axes.set_xticks(range(len(corpora)), [_short(corpus) for corpus in corpora])
        axes.xaxis.set_minor_locator(NullLocator())

    return _panels(transfer, mixtures, models, panel, "gain against shift", "gain")


def draw_mixtures(transfer: StudyTransfer) -> Markup:
    """Error after every mixture over that after the first, against samples, a panel per model."""
    models, corpora = names_of(transfer, "model"), by_distance(names_of(transfer, "corpus"))
    first, *others = names_of(transfer, "mixture")
    before = {_place(c): c.pretrained for c in transfer.cells if c.mixture == first}

    def panel(axes: Axes, mixture: str, model: str) -> None:
        axes.set_xscale("log")
        own = [c for c in transfer.cells if (c.model, c.mixture) == (model, mixture)]
        for number, corpus in enumerate(corpora):
            pairs = sorted(
                (c.trajectories, c.pretrained.error.mean / known.error.mean)
                for c in own
                if c.corpus == corpus and c.pretrained and (known := before.get(_place(c)))
            )
            colour, marker = _look(number)
            axes.plot(
                [samples for samples, _ in pairs],
                [ratio for _, ratio in pairs],
                f"{marker}-",
                color=colour,
                linewidth=1.6,
                markersize=4,
                label=corpus,
            )
        _samples(axes, own)
        axes.axhline(1, color=FLOOR_COLOUR, linestyle=":", linewidth=1)
        tick_decades(axes.yaxis)

    about = f"error after a mixture over that after {first}"
    return _panels(transfer, others, models, panel, about, about)


def names_of(transfer: StudyTransfer, what: str) -> list[str]:
    """Models, mixtures or corpora of which something is fine-tuned, in the order of the study."""
    return list(dict.fromkeys(getattr(cell, what) for cell in transfer.cells if cell.pretrained))


def by_distance(corpora: Sequence[str]) -> list[str]:
    """Corpora with the rungs of a ladder side by side, from what was learnt on outwards."""

    def key(corpus: str) -> tuple[str, float]:
        try:
            shift = load_card(corpus).shift
        except UserError:
            shift = None
        return (corpus, 0.0) if shift is None else (shift.ladder, shift.value)

    return sorted(corpora, key=key)


def _panels(
    transfer: StudyTransfer,
    rows: Sequence[str],
    columns: Sequence[str] | Sequence[int],
    draw: Callable[..., None],
    about: str,
    measured: str,
    unit: str = "",
) -> Markup:
    """A grid of panels on one scale, with a legend for all."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": f"{about} {transfer.title}"}):
        size = (1.0 + 2.3 * len(columns), 0.9 + 1.9 * len(rows))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex=False, sharey=True)
        for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
            axes = grid[i][j]
            axes.set_yscale("log")
            draw(axes, row, column)
            axes.grid(color=INK, alpha=0.12, linewidth=0.6)
            if i == 0:
                axes.set_title(f"{column} {unit}".strip(), fontsize=8)
            if j == 0:
                axes.set_ylabel(f"{row}\n{measured}", fontsize=8)
        handles: dict[str, Artist] = {}
        for axes in grid.flat:
            handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, frameon=False,
                      fontsize=8)  # fmt: skip
        return inline_svg(figure, f"{about}: {transfer.title}")


def _line(
    axes: Axes, cells: Sequence[TransferCell], side: Callable[..., object], place: int, label: str
) -> None:
    """Means and standard errors over seeds against samples."""
    points = [(c.trajectories, side(c).error) for c in cells]  # type: ignore[attr-defined]
    points = [(n, e) for n, e in points if math.isfinite(e.mean) and e.mean > 0]
    colour, marker = (FLOOR_COLOUR, "x") if label == _SCRATCH else _look(place)
    axes.errorbar(
        [n for n, _ in points],
        [e.mean for _, e in points],
        yerr=[e.standard_error or 0.0 for _, e in points],
        fmt=f"{marker}--" if label == _SCRATCH else f"{marker}-",
        color=colour,
        linewidth=1.6,
        markersize=4,
        capsize=2,
        label=label,
    )


def _gain(
    axes: Axes,
    xs: Sequence[float],
    cells: Sequence[TransferCell],
    place: int,
    label: str,
    dash: str = "-",
) -> None:
    colour, marker = _look(place)
    factors = [c.error_factor or math.nan for c in cells]
    filled = colour if dash == "-" else "white"
    axes.plot(xs, factors, f"{marker}{dash}", color=colour, linewidth=1.6, markersize=4,
              markerfacecolor=filled, label=label)  # fmt: skip
    axes.axhline(1, color=FLOOR_COLOUR, linestyle=":", linewidth=1)
    tick_decades(axes.yaxis)


def _gained(transfer: StudyTransfer, **where: str | int) -> list[TransferCell]:
    """Cells at a place with a gain."""
    return [
        cell
        for cell in transfer.cells
        if cell.error_factor is not None
        and all(getattr(cell, name) == value for name, value in where.items())
    ]


def _samples(axes: Axes, cells: Sequence[TransferCell]) -> None:
    sizes = _sizes(cells)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("samples")


def _sizes(cells: Sequence[TransferCell]) -> list[int]:
    return sorted({cell.trajectories for cell in cells})


def _place(cell: TransferCell) -> tuple[str, str, int]:
    return cell.model, cell.corpus, cell.trajectories


def _look(place: int) -> tuple[str, str]:
    return PALETTE[place % len(PALETTE)], _MARKERS[place % len(_MARKERS)]


def _measured(transfer: StudyTransfer) -> str:
    names = dict.fromkeys(transfer.headlines.values())
    return next(iter(names)).upper() if len(names) == 1 else "error"


def _short(corpus: str) -> str:
    return corpus.replace("_", "\n")
