"""Dataset inference: whose fingerprint is nearest to a sample's routing distribution.

Axes: N windows, M trajectories, K corpora (fingerprints), L blocks, E routed experts,
A = L + 1 "looks": every block apart, then all blocks together.
Source: MoE-POT (NeurIPS 2025), App. B.4: the corpus of the smallest cross entropy
`-sum_e I_e log Y_e`, I the sample's distribution, Y the fingerprint. All blocks together
add their cross entropies, as independent sources would.
Departures: logarithms stop at a least probability `epsilon`; accuracy is the mean over
corpora of the share found, so that a large corpus does not drown the others and a constant
answer scores 1/K.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from data_shards.config import Config
from evaluation.records.bootstrap import standard_error
from evaluation.records.record import Score
from evaluation.routing.routes import Routes, over_trajectories


class Look(Config):
    """What one block, or all of them together, say.

    Standard errors are over test trajectories; they do not cover those that the
    fingerprints were made from, and are 0 where every sample is right.
    """

    accuracy: Score  # mean over corpora
    found: tuple[Score, ...]  # share of each corpus's samples that were given to it
    confusion: tuple[tuple[float, ...], ...]  # [true corpus][corpus given], rows sum to one


class Inference(Config):
    """Dataset inference among some corpora."""

    corpora: tuple[str, ...]  # those of the test samples and of the fingerprints
    windows: tuple[int, ...]  # test samples of each
    trajectories: tuple[int, ...]  # test trajectories of each
    blocks: tuple[Look, ...]
    combined: Look

    @property
    def chance(self) -> float:
        """Accuracy of an answer that does not look at the sample."""
        return 1 / len(self.corpora)


def cross_entropies(
    samples_NLE: NDArray[np.floating], fingerprints_KLE: NDArray[np.floating], epsilon: float
) -> NDArray[np.float64]:
    """`-sum_e I_e log max(Y_e, epsilon)` of samples I under fingerprints Y.

    Args:
        samples_NLE: distributions over the last axis.
        fingerprints_KLE: distributions over the last axis.
        epsilon: least probability whose logarithm is taken; an expert that a corpus never
            uses then counts `-log(epsilon)` instead of infinity.

    Returns:
        (N, K, A) in nats: blocks apart, then their sum.
    """
    logs_KLE = np.log(np.maximum(fingerprints_KLE.astype(np.float64), epsilon))
    each_NKL = -np.einsum("nle,kle->nkl", samples_NLE.astype(np.float64), logs_KLE)
    return np.concatenate([each_NKL, each_NKL.sum(axis=2, keepdims=True)], axis=2)


def entropies(samples_NLE: NDArray[np.floating]) -> NDArray[np.float64]:
    """`-sum_e I_e log I_e` (N, A) in nats: blocks apart, then their sum."""
    each_NL = entr(samples_NLE.astype(np.float64)).sum(axis=2)
    return np.concatenate([each_NL, each_NL.sum(axis=1, keepdims=True)], axis=1)


def infer(
    tests: Sequence[Routes], fingerprints_KLE: NDArray[np.floating], epsilon: float
) -> Inference:
    """Give every test sample to a corpus and compare with where it is from.

    Args:
        tests: samples of the K corpora, in the order of the fingerprints.
        fingerprints_KLE: of the same corpora.
        epsilon: see `cross_entropies`.
    """
    corpora = len(tests)
    if corpora != len(fingerprints_KLE):
        raise ValueError(f"samples of {corpora} corpora, {len(fingerprints_KLE)} fingerprints")
    # (M, A, K) of each corpus: share of a trajectory's windows given to each corpus.
    given = [_given(routes, fingerprints_KLE, epsilon) for routes in tests]
    looks = [_look([each[:, a] for each in given]) for a in range(given[0].shape[1])]
    return Inference(
        corpora=tuple(routes.corpus for routes in tests),
        windows=tuple(len(routes) for routes in tests),
        trajectories=tuple(routes.num_trajectories for routes in tests),
        blocks=tuple(looks[:-1]),
        combined=looks[-1],
    )


def _given(
    routes: Routes, fingerprints_KLE: NDArray[np.floating], epsilon: float
) -> NDArray[np.float64]:
    nearest_NA = cross_entropies(routes.probabilities_NLE, fingerprints_KLE, epsilon).argmin(axis=1)
    one_hot_NAK = np.eye(len(fingerprints_KLE))[nearest_NA]
    return over_trajectories(one_hot_NAK, routes.trajectories_N)


def _look(given: list[NDArray[np.float64]]) -> Look:
    """From the shares (M, K) of every corpus's trajectories."""
    confusion = [shares_MK.mean(axis=0) for shares_MK in given]
    found = [
        Score(value=float(row[k]), standard_error=standard_error(shares_MK[:, k]))
        for k, (row, shares_MK) in enumerate(zip(confusion, given, strict=True))
    ]
    return Look(
        accuracy=mean_score(found),
        found=tuple(found),
        confusion=tuple(tuple(row.tolist()) for row in confusion),
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """Mean of independent scores; their errors add in quadrature."""
    errors = [score.standard_error for score in scores]
    known = [error for error in errors if error is not None]
    error = math.hypot(*known) / len(scores) if len(known) == len(scores) else None
    value = sum(score.value for score in scores) / len(scores)
    return Score(value=value, standard_error=error)
