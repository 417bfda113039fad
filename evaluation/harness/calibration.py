"""Bands of a forecaster: forecasts of trajectories that are known in, factors out.

Axes: B samples, N of all batches, P points, T predicted frames, C asked channels, S cells.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from evaluation.metrics.bands import scale_of
from evaluation.metrics.conformal import conformal_factor, least_trajectories
from evaluation.metrics.forecast import Forecast
from evaluation.records.record import Calibration
from evaluation.tasks.task import Task

MOST_POINTS = 1024  # of a trajectory's frame


def check_calibration(task: Task, corpus: ShardedCorpus, known: ShardedCorpus | None) -> None:
    """Refuse bands that cannot be calibrated, before any work is done.

    Args:
        task: the terms.
        corpus: that is judged.
        known: that bands are calibrated on; None if there is none.

    Raises:
        UserError: a task of bands without shards for them, too few trajectories, or other channels.
    """
    if task.bands is None:
        return
    assert task.calibration is not None
    name, split = task.calibration
    if known is None:
        raise UserError(
            f"task {task.name}: no {split} shards of {name} to calibrate its bands on; generate "
            f"them: foundation shards generate {name} --split {split}"
        )
    least = least_trajectories(task.bands.level)
    if known.num_trajectories < least:
        raise UserError(
            f"task {task.name}: {known.num_trajectories} {split} trajectories of {name} to "
            f"calibrate on, bands of {task.bands.level:.0%} need {least}; generate more with "
            f"--split {split} --trajectories {max(64, least)}"
        )
    if known.card.asked_names != corpus.card.asked_names:
        raise UserError(
            f"task {task.name}: its bands are calibrated on {name}, which asks for other channels "
            f"than {corpus.name}; name another corpus in bands"
        )


def scores_of(forecast: Forecast, trajectories: Sequence[int]) -> Tensor:
    """How far the truth is from the forecast, in its scale (B, P, T, C); NaN of no points.

    Points are drawn for every trajectory anew. If all shared them, the guarantee would hold of
    these points alone: where errors have a place in the frame, more trajectories would not mend it.

    Args:
        forecast: of B samples.
        trajectories: their numbers in the split (B,), which say the points, whatever the batch.
    """
    scale = scale_of(forecast.pred_BTCHW, forecast.members_MBTCHW, forecast.points_B1CHW)
    scores = (forecast.true_BTCHW - forecast.pred_BTCHW).abs() / scale
    scores = torch.where(torch.isfinite(scores), scores, torch.inf)
    scores = torch.where(forecast.points_B1CHW > 0, scores, torch.nan)
    cells = scores.flatten(3)
    chosen_BP = torch.stack([_points_of(number, cells.shape[3]) for number in trajectories])
    index = chosen_BP[:, None, None].expand(-1, *cells.shape[1:3], -1).to(cells.device)
    return cells.gather(3, index).permute(0, 3, 1, 2).float()


def _points_of(trajectory: int, cells: int) -> Tensor:
    generator = torch.Generator().manual_seed(trajectory)
    return torch.randperm(cells, generator=generator)[:MOST_POINTS]


def calibrated(task: Task, known: ShardedCorpus, scores: list[Tensor]) -> Calibration:
    """Factors from the scores of all known trajectories, batch by batch (B, P, T, C) each."""
    assert task.bands is not None
    factors_TC = conformal_factor(torch.cat(scores).double(), task.bands.level)
    return Calibration(
        level=task.bands.level,
        corpus=known.name,
        split=known.split,
        shard_fingerprint=known.fingerprint,
        samples=known.num_trajectories,
        factors=tuple(tuple(float(f"{value:.6g}") for value in row) for row in factors_TC.tolist()),
    )


def half_width(forecast: Forecast, calibration: Calibration) -> Tensor:
    """Half the width of the bands of a forecast (B, T, C, *S)."""
    pred = forecast.pred_BTCHW
    scale = scale_of(pred, forecast.members_MBTCHW, forecast.points_B1CHW)
    factors_TC = torch.tensor(calibration.factors, dtype=pred.dtype, device=pred.device)
    return scale * factors_TC[:, :, *(None,) * (pred.ndim - 3)]
