"""Seconds and errors of a model and of solvers, measured side by side on one core.

Axes: B trajectories, T frames, C channels, H rows, W columns of the corpus.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_shards.card import CorpusCard
from data_shards.errors import UserError
from data_shards.generate.coarser import coarse_run, own_cells
from data_shards.shards.corpus import ShardedCorpus
from data_shards.simulation_file.regrid import regrid
from data_shards.stream.batch import Batch
from data_shards.stream.layout import resize
from data_shards.stream.windows import load_windows
from data_shards.trajectory import Trajectory
from evaluation.breakeven.matched import SolverRun
from evaluation.breakeven.record import CorpusCost
from evaluation.harness.compatible import check_compatible
from evaluation.harness.forecaster import Forecaster
from evaluation.harness.scored_grid import cut_forecast, scored_stride
from evaluation.metrics.relative import l2re
from evaluation.tasks.task import Task

_SHARES = (0.125, 0.1875, 0.25, 0.375, 0.5, 0.75)  # of the corpus's cells along x
_COARSEST = 8
_REPEATS = 3
_OF_POINTS = ("vorticity",)  # solvers that give values at points; others give means of cells

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Compared:
    """What a model is compared on.

    Attributes:
        task: a rollout from the first frames.
        corpus: its test split, simulated here.
        trajectories: so many, the first ones.
    """

    task: Task
    corpus: ShardedCorpus
    trajectories: int


def measured(
    forecaster: Forecaster,
    compared: Compared,
    device: torch.device,
    rank_price: float = 1.0,
    advance: Callable[[int], object] = lambda runs: None,
) -> CorpusCost:
    """One model beside the solver of one corpus.

    Args:
        forecaster: a checkpoint.
        compared: task and data.
        device: of the checkpoint.
        rank_price: of the forecast's device, where that is no core, in seconds of a core.
        advance: told of every solver's run.

    Raises:
        UserError: shards that were converted, or a corpus that the model cannot take.
    """
    layout = check_compatible(forecaster, compared.task, compared.corpus)
    task, corpus, count = compared.task, compared.corpus, compared.trajectories
    batch = load_windows(
        corpus,
        list(range(count)),
        layout,
        context_frames=task.context_frames,
        target_frames=task.rollout_frames,
        learnt=forecaster.learnt,
    ).to(device)
    seconds, pred = _timed_forecast(forecaster, batch, task)
    forecast = cut_forecast(pred, batch, corpus, task, layout, scored_stride(layout, corpus))
    error_B = l2re(forecast.pred_BTCHW, forecast.true_BTCHW, forecast.points_B1CHW)
    return CorpusCost(
        corpus=corpus.name,
        frames=task.rollout_frames,
        trajectories=count,
        model_error=float(error_B.mean()),
        forecast_seconds=seconds * rank_price,
        solver=tuple(solver_runs(corpus, task, count, advance)),
    )


def solver_runs(
    corpus: ShardedCorpus, task: Task, count: int, advance: Callable[[int], object]
) -> list[SolverRun]:
    """The corpus's own solver on coarser grids, and on its own.

    A run begins with the trajectory, a forecast with the frames after its context: of the run's
    seconds the share of these frames counts, all of its error does.
    """
    card = card_as_made(corpus)
    share = task.rollout_frames / (corpus.frames - 1)
    runs = []
    own = own_cells(card, corpus.resolution)
    _run(card, corpus, 0, grids(corpus.resolution, own)[0])  # compiles what is not yet
    for cells in grids(corpus.resolution, own):
        found = [_one(card, corpus, task, number, cells) for number in range(count)]
        advance(count)
        kept = [each for each in found if each is not None]
        if kept:
            whole = len(kept) == count
            error = float(np.mean([error for error, _ in kept])) if whole else float("inf")
            seconds = share * float(np.mean([seconds for _, seconds in kept]))
            runs.append(SolverRun(cells=cells, seconds=seconds, error=error))
    return runs


def grids(resolution: int, own: int) -> list[int]:
    """Cells along x of the solver's runs, rising.

    Args:
        resolution: of the corpus.
        own: cells on which it was simulated, which come last.
    """
    coarser = {round(resolution * share) for share in _SHARES} | {resolution}
    return [*sorted(cells for cells in coarser if _COARSEST <= cells < own), own]


def number_of_runs(compared: Compared) -> int:
    """Solver's runs that a comparison takes."""
    corpus = compared.corpus
    own = own_cells(card_as_made(corpus), corpus.resolution)
    return len(grids(corpus.resolution, own)) * compared.trajectories


def seconds_per_trajectory(corpus: ShardedCorpus, count: int) -> float:
    """Of simulating a whole trajectory of the corpus as it was made."""
    card = card_as_made(corpus)
    own = own_cells(card, corpus.resolution)
    _run(card, corpus, 0, grids(corpus.resolution, own)[0])  # compiles what is not yet
    found = [_run(card, corpus, number, own) for number in range(count)]
    return float(np.mean([run[1] for run in found if run is not None]))


def card_as_made(corpus: ShardedCorpus) -> CorpusCard:
    """The card with the options that the shards were simulated with.

    Raises:
        UserError: they were not.
    """
    if corpus.entry.provenance.seed < 0:
        raise UserError(
            f"{corpus.name}: converted from published files, whose solver nobody can time here; "
            "generate the corpus"
        )
    return corpus.card


def _one(
    card: CorpusCard, corpus: ShardedCorpus, task: Task, number: int, cells: int
) -> tuple[float, float] | None:
    """Error of one run on the forecast's frames, and its seconds; None where it breaks down."""
    found = _run(card, corpus, number, cells)
    if found is None:
        return None
    trajectory, seconds = found
    first, last = task.context_frames, task.context_frames + task.rollout_frames
    true = corpus.window(number, first, task.rollout_frames)
    fields = _on_grid(trajectory.fields[first:last], true.shape[2:], corpus, number)
    points = torch.from_numpy(corpus.mask(number) >= 0.5).float()[None, None, None]
    points = points.expand(1, 1, true.shape[1], -1, -1)
    pair = (torch.from_numpy(np.array(part, np.float32)) for part in (fields, true))
    pred, known = (part[None] for part in pair)
    return float(l2re(pred, known, points)), seconds


def _run(
    card: CorpusCard, corpus: ShardedCorpus, number: int, cells: int
) -> tuple[Trajectory, float] | None:
    made = corpus.entry.provenance
    return coarse_run(
        card,
        cells,
        split=corpus.entry.split,
        index=corpus.metadata(number)["index"],
        seed=made.seed,
        resolution=corpus.resolution,
    )


def _on_grid(fields: Array, grid: tuple[int, ...], corpus: ShardedCorpus, number: int) -> Array:
    """A coarse run on the corpus's cells: by its waves, bilinear around obstacles."""
    if fields.shape[2:] == grid:
        return fields
    if corpus.card.generator in _OF_POINTS:
        return between_points(fields, grid)
    if (corpus.mask(number) < 0.5).any():
        resized: Array = resize(fields, grid).numpy()
        return resized
    sides = corpus.metadata(number).get("boundary") or corpus.card.boundary or {}
    around = (sides.get("bottom") == "periodic", sides.get("left") == "periodic")
    return regrid(np.asarray(fields, np.float32), grid, around)


def between_points(fields: Array, grid: tuple[int, ...]) -> Array:
    """Periodic fields (..., H, W), values at points i / N, at more points, by their waves."""
    rows, columns = fields.shape[-2:]
    waves = np.fft.rfft2(fields.astype(np.float64))
    padded = np.zeros((*fields.shape[:-2], grid[0], grid[1] // 2 + 1), complex)
    numbers = np.fft.fftfreq(rows, 1 / rows).astype(int)
    padded[..., numbers % grid[0], : columns // 2 + 1] = waves
    finer = np.fft.irfft2(padded, s=grid) * (grid[0] * grid[1] / (rows * columns))
    single: Array = finer.astype(np.float32)
    return single


def _timed_forecast(forecaster: Forecaster, batch: Batch, task: Task) -> tuple[float, Tensor]:
    """Seconds per trajectory of the quickest of some repeats, and the forecast.

    Of cores, as a solver's: other processes on the machine do not count. Of a GPU by the clock.
    """
    clock = perf_counter if batch.given.is_cuda else process_time
    times, pred = [], None
    with torch.inference_mode():
        for _ in range(_REPEATS):
            began = clock()
            pred = forecaster.forecast(batch, task.rollout_frames)
            if pred.is_cuda:
                torch.cuda.synchronize()
            times.append(clock() - began)
    assert pred is not None
    return min(times) / len(batch), pred
