"""Bands over many divisions of trajectories: as one by one, and as much as they promise."""

import numpy as np
import torch

from evaluation.metrics.conformal import conformal_factor
from evaluation.studies.bands.exchanged import SCORES_OF_A_BIN, coverages, divisions


def test_coverage_of_every_division_is_that_of_the_factor_found_one_by_one() -> None:
    rng = np.random.default_rng(0)
    scores = rng.exponential(size=(30, 1, 1)) * rng.exponential(size=(30, 200, 2))
    scores[:5, :50] = np.nan
    parts = divisions(20, 10)[:40]
    for found, known in zip(coverages(scores, parts, 0.8), parts, strict=True):
        factor = conformal_factor(torch.from_numpy(scores[known]), 0.8).numpy()
        judged = scores[~known]
        wanted = np.mean((judged <= factor).sum(1) / (~np.isnan(judged)).sum(1))
        # Up to the end of a bin, all of which may be of the 10 judged trajectories.
        assert -1e-9 < found - wanted <= SCORES_OF_A_BIN / (10 * 150)


def test_equal_scores_are_covered_together() -> None:
    scores = np.where(np.random.default_rng(2).random((30, 200, 1)) < 0.05, 1.0, 0.0)
    parts = divisions(20, 10)[:40]
    for found, known in zip(coverages(scores, parts, 0.8), parts, strict=True):
        assert abs(found - (scores[~known] == 0).mean()) <= SCORES_OF_A_BIN / (10 * 200)


def test_the_mean_over_divisions_is_what_is_promised() -> None:
    rng = np.random.default_rng(1)
    for spread in (0.0, 0.3, 2.0):  # of errors over trajectories, from all alike to each its own
        sizes = np.exp(spread * rng.standard_normal((128, 1, 1)))
        scores = sizes * np.abs(rng.standard_normal((128, 256, 1)))
        found = coverages(scores, divisions(64, 64), 0.9)
        error = found.std() / len(found) ** 0.5
        binned = SCORES_OF_A_BIN / (128 * 256)
        assert 0.9 - 4 * error < found.mean() < 0.9 + 1 / 65 + 4 * error + 2 * binned
        assert error < 0.003
