"""Whether a forecaster can be judged on a task, and on what: asked before any work is done."""

from fnmatch import fnmatchcase

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.part import reconstructed
from data_shards.stream.layout import ModelLayout, check_fits
from data_shards.stream.windows import check_long_enough
from evaluation.harness.floors import floors_of
from evaluation.harness.forecaster import Forecaster, check_has_expert
from evaluation.harness.protocol import authors_order
from evaluation.harness.scored_grid import check_laws, scored_stride, setting_of
from evaluation.metrics.registry import find_measurement
from evaluation.tasks.task import Task

Window = tuple[int, int]  # trajectory, first frame of the context

# Floors of one-dimensional corpora: the published models' grid. A thousand equal rows of a
# thousand cells tell no more and fill the memory.
MOST_EQUAL_ROWS = 128


def windows_of(task: Task, corpus: ShardedCorpus, limit: int | None = None) -> list[Window]:
    """What a run judges: windows of one trajectory side by side, trajectories in file order.

    Args:
        task: the terms.
        corpus: the split that it names.
        limit: only so many trajectories, the first ones.

    Raises:
        UserError: no trajectory has a key that the task asks for.
    """
    matching = [i for i, key in enumerate(corpus.keys) if fnmatchcase(key, task.keys)]
    if not matching:
        raise UserError(
            f"task {task.name}: no trajectory of {corpus.name} has a key like {task.keys!r}, "
            f"they are called {corpus.keys[0]} and so on; fix keys"
        )
    return [(i, start) for i in matching[:limit] for start in sorted(task.windows)]


def own_layout(corpus: ShardedCorpus, resolution: int | None = None) -> ModelLayout:
    """The grid and channels of the stored data: what a floor is judged on.

    Args:
        corpus: an opened split.
        resolution: cells along each side of a plane; those of the data by default.
    """
    card, grid = corpus.card, corpus.entry.grid
    if len(grid) == 2 and card.axis == "space":
        side = resolution or corpus.resolution
        if min(grid) == 1 and resolution is None:  # one dimension becomes a plane of equal rows
            side = min(side, MOST_EQUAL_ROWS)
        grid = (side, side)
    channels = len({one.name for one in card.offered})
    asked = None if card.continues else len(card.asked_names)
    return ModelLayout(grid=grid, channels=channels, asked_channels=asked)


def as_asked(task: Task, corpus: ShardedCorpus) -> ShardedCorpus:
    """The corpus as a task asks it: with what is given as what is asked, or as its card says."""
    return reconstructed(corpus) if task.asked == "given" else corpus


def check_compatible(forecaster: Forecaster, task: Task, corpus: ShardedCorpus) -> ModelLayout:
    """Refuse what cannot be judged, before any work is done.

    Returns:
        The grid and channels on which the forecast is made.

    Raises:
        UserError: another kind of task, trajectories too short, a headline that does not apply,
            or a corpus or context that the model cannot take or has no expert of.
    """
    if task.kind != "forecast":
        raise UserError(
            f"task {task.name}: of kind {task.kind}, which this verb does not judge; choose one "
            "of kind forecast"
        )
    if task.asked not in (corpus.card.window, "given"):
        raise UserError(
            f"task {task.name} asks the {task.asked} frames, the shards of {corpus.name} say "
            f"{corpus.card.window}; if they are older than that card, generate them again"
        )
    _check_question(forecaster, task)
    layout = forecaster.layout or own_layout(corpus)
    if forecaster.any_grid and corpus.card.axis == "space":
        layout = layout.model_copy(update={"grid": corpus.entry.grid})
    check_fits(corpus.card, layout)
    floors = floors_of(as_asked(task, corpus).card)
    if forecaster.facts.floor and forecaster.facts.model_type not in floors:
        raise UserError(
            f"floor {forecaster.facts.model_type}: says nothing about {corpus.name}; take floor:"
            f"{' or floor:'.join(floors)}"
        )
    name, by_corpus = forecaster.facts.name, forecaster.routes_by_corpus
    check_has_expert(name, by_corpus, forecaster.learnt, corpus.name)
    check_long_enough(corpus, task.length, f"task {task.name}")
    wanted = forecaster.context_frames
    if wanted is not None and wanted > task.context_frames:
        raise UserError(
            f"{name}: it takes {wanted} frames of context, task {task.name} "
            f"gives {task.context_frames}; choose a task that gives more"
        )
    if task.protocol == "reference":
        authors_order(corpus.card, layout)
    check_laws(task, corpus)
    _check_headline(task, corpus, layout)
    return layout


def _check_question(forecaster: Forecaster, task: Task) -> None:
    """A model that reconstructs does nothing else, and others do not."""
    name, asks = forecaster.facts.name, task.asked == "given"
    if not forecaster.facts.floor and forecaster.reconstructs != asks:
        raise UserError(
            f"{name}: reconstructs frames, task {task.name} asks other ones; choose a task that "
            "says asked: given"
            if forecaster.reconstructs
            else f"{name}: does not reconstruct frames, which task {task.name} asks; choose another"
        )


def _check_headline(task: Task, corpus: ShardedCorpus, layout: ModelLayout) -> None:
    stride = scored_stride(layout, corpus)
    grid = tuple(len(range(0, cells, stride)) for cells in layout.grid)
    setting = setting_of(task, corpus.card, grid, layout.grid == corpus.entry.grid)
    if not find_measurement(task.headline).applies(setting):
        raise UserError(
            f"task {task.name}: its headline {task.headline} does not apply to corpus "
            f"{corpus.name} on {' x '.join(map(str, grid))} points; choose another headline"
        )
