"""Out-of-distribution detection: how far is a sample from every corpus of the training.

Axes: N windows, M trajectories, K corpora (fingerprints), L blocks, A = L + 1 looks (every
block, then all together), R resamples.
Two distances to the nearest fingerprint are compared: the cross entropy of dataset
inference, and the divergence of Kullback and Leibler, which is the cross entropy less the
sample's own entropy and so does not call a sample far only because its router is unsure.
The figure of merit is the area under the receiver operating characteristic: the
probability that a sample of an unseen corpus lies farther than one of a seen corpus.
Source: Hanley and McNeil, Radiology 143 (1982), for the area as that probability.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from data_shards.config import Config
from evaluation.records.bootstrap import RESAMPLES, SEED
from evaluation.records.record import Score
from evaluation.routing.inference import cross_entropies, entropies
from evaluation.routing.routes import Routes, over_trajectories

Distance = Literal["cross_entropy", "divergence"]
DISTANCES: tuple[Distance, ...] = get_args(Distance)


class Detector(Config):
    """Areas under the curve by one distance: 1 tells all apart, 0.5 is chance."""

    blocks: tuple[Score, ...]  # over all unseen corpora
    combined: Score
    per_corpus: dict[str, Score]  # unseen corpus: all blocks together


class Detection(Config):
    """Seen against unseen samples; all corpora of a side weigh alike."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    detectors: dict[Distance, Detector]


def nearest_distances(
    samples_NLE: NDArray[np.floating],
    fingerprints_KLE: NDArray[np.floating],
    epsilon: float,
    distance: Distance,
) -> NDArray[np.float64]:
    """Distance to the nearest fingerprint (N, A), in nats.

    All blocks together means one corpus that is nearest in the sum over blocks.
    """
    nearest_NA: NDArray[np.float64] = cross_entropies(samples_NLE, fingerprints_KLE, epsilon).min(1)
    return nearest_NA if distance == "cross_entropy" else nearest_NA - entropies(samples_NLE)


def detect(
    seen: Sequence[Routes],
    unseen: Sequence[Routes],
    fingerprints_KLE: NDArray[np.floating],
    epsilon: float,
) -> Detection:
    """Judge both distances.

    Args:
        seen: test samples of the corpora that the fingerprints are of.
        unseen: test samples of other corpora.
        fingerprints_KLE: of the seen corpora only.
        epsilon: see `cross_entropies`.
    """

    def detector(distance: Distance) -> Detector:
        near, far = (
            [
                (nearest_distances(r.probabilities_NLE, fingerprints_KLE, epsilon, distance), r)
                for r in side
            ]
            for side in (seen, unseen)
        )

        def area(look: int, positives: list[tuple[NDArray[np.float64], Routes]]) -> Score:
            return auroc(
                [(d_NA[:, look], r.trajectories_N) for d_NA, r in near],
                [(d_NA[:, look], r.trajectories_N) for d_NA, r in positives],
            )

        blocks = near[0][0].shape[1] - 1
        return Detector(
            blocks=tuple(area(block, far) for block in range(blocks)),
            combined=area(-1, far),
            per_corpus={each[1].corpus: area(-1, [each]) for each in far},
        )

    return Detection(
        seen=tuple(routes.corpus for routes in seen),
        unseen=tuple(routes.corpus for routes in unseen),
        detectors={distance: detector(distance) for distance in DISTANCES},
    )


Group = tuple[NDArray[np.float64], NDArray[np.int64]]  # values and trajectories of one corpus


def auroc(negatives: Sequence[Group], positives: Sequence[Group]) -> Score:
    """Probability that a positive value exceeds a negative one; equal values count half.

    Args:
        negatives: one entry per corpus; corpora weigh alike, and trajectories in a corpus.
        positives: likewise.

    Returns:
        With the standard error of drawing each corpus's trajectories anew; None where a
        corpus has fewer than two.
    """
    rng = np.random.default_rng(SEED)
    above = [[_above(n, p) for p in positives] for n in negatives]  # (M, M') each
    value = np.mean([matrix.mean() for row in above for matrix in row])
    sizes_n = [row[0].shape[0] for row in above]
    sizes_p = [matrix.shape[1] for matrix in above[0]]
    if min(sizes_n + sizes_p) < 2:
        return Score(value=float(value), standard_error=None)
    draws_n = [_draws(size, rng) for size in sizes_n]
    draws_p = [_draws(size, rng) for size in sizes_p]
    areas_R = np.mean(
        [
            ((draws_RM @ matrix) * draws_RQ).sum(axis=1)
            for draws_RM, row in zip(draws_n, above, strict=True)
            for draws_RQ, matrix in zip(draws_p, row, strict=True)
        ],
        axis=0,
    )
    return Score(value=float(value), standard_error=_spread(areas_R))


def _spread(areas_R: NDArray[np.float64]) -> float:
    """Rounding of sums of weights is not a spread: sides that never mix have none."""
    return float(areas_R.round(12).std(ddof=1))


def _above(negative: Group, positive: Group) -> NDArray[np.float64]:
    """Share of pairs of windows in which the positive is larger, per pair of trajectories."""
    (low_N, trajectories_N), (high_P, trajectories_P) = negative, positive
    larger_NP = (high_P > low_N[:, None]) + 0.5 * (high_P == low_N[:, None])
    return over_trajectories(over_trajectories(larger_NP, trajectories_N).T, trajectories_P).T


def _draws(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights (R, M) of trajectories drawn with replacement; rows sum to one."""
    return rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES) / size
