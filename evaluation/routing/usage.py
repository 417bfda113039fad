"""How experts are shared among corpora: routing weights in, a few numbers out.

Axes: N windows, M trajectories, K corpora, L blocks, E routed experts.
All corpora weigh alike, whatever their sizes. A corpus uses an expert with probability
p(e | k), its mean routing weight; the mutual information of expert and corpus is 0 if all
corpora use the experts alike and log2 K if no two share one. With finitely many samples it
is never quite 0: the same number with the trajectories' corpora shuffled tells how much of
it is scatter.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from data_shards.config import Config
from evaluation.routing.routes import Routes, over_trajectories

SHUFFLES = 100  # their mean is then known to a tenth of their spread
_SEED = 51


class CorpusUsage(Config):
    """Which experts one corpus uses, on its test samples."""

    corpus: str
    seen: bool  # in training
    weight: tuple[tuple[float, ...], ...]  # (L, E) mean routing weight, rows sum to one
    chosen: tuple[tuple[float, ...], ...]  # (L, E) share of samples, rows sum to top-k
    entropy_bits: tuple[float, ...]  # of each block's weights


class Specialisation(Config):
    """How one block divides its experts among the seen corpora."""

    mutual_information_bits: float  # of expert and corpus, at most log2 of their numbers
    shuffled_bits: float  # the same without any relation between the two
    load_entropy_bits: float  # of the mean weights over corpora; log2 E if all work alike
    purity: float | None = (
        None  # see `foundation.moe.purity`; None of records from before it was measured
    )


def corpus_usage(routes: Routes, seen: bool) -> CorpusUsage:
    """Usage by one corpus."""
    weight_LE = _mean_weights(routes).mean(axis=0)
    chosen_MLE = over_trajectories(routes.weights_NLE > 0, routes.trajectories_N)
    return CorpusUsage(
        corpus=routes.corpus,
        seen=seen,
        weight=_nested(weight_LE),
        chosen=_nested(chosen_MLE.mean(axis=0)),
        entropy_bits=tuple(entropy_bits(weight_LE).tolist()),
    )


def specialise(seen: Sequence[Routes]) -> tuple[Specialisation, ...]:
    """How every block divides its experts among corpora.

    Args:
        seen: test samples of each corpus.
    """
    import torch  # seconds, which reading records does without

    from foundation.moe.purity import purity

    weights = [_mean_weights(routes) for routes in seen]
    usage_KLE = np.stack([weights_MLE.mean(axis=0) for weights_MLE in weights])
    shuffled_L = _shuffled(weights)
    return tuple(
        Specialisation(
            mutual_information_bits=float(information),
            shuffled_bits=float(baseline),
            load_entropy_bits=float(load),
            purity=float(share),
        )
        for information, baseline, load, share in zip(
            mutual_information_bits(usage_KLE),
            shuffled_L,
            entropy_bits(usage_KLE.mean(axis=0)),
            purity(torch.from_numpy(usage_KLE)),
            strict=True,
        )
    )


def mutual_information_bits(usage_KLE: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of expert and corpus in every block, corpora equally likely: `H(e) - mean_k H(e | k)`.

    Args:
        usage_KLE: p(e | k), distributions over the last axis.

    Returns:
        (L,), bits, plug-in; between 0 and the smaller of log2 K and log2 E.
    """
    information = entropy_bits(usage_KLE.mean(axis=0)) - entropy_bits(usage_KLE).mean(axis=0)
    positive: NDArray[np.float64] = np.maximum(information, 0.0)  # rounding may leave -1e-16
    return positive


def entropy_bits(distributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy over the last axis, bits."""
    bits: NDArray[np.float64] = entr(distributions).sum(axis=-1) / np.log(2)
    return bits


def _mean_weights(routes: Routes) -> NDArray[np.float64]:
    return over_trajectories(routes.weights_NLE, routes.trajectories_N)


def _shuffled(weights: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean mutual information (L,) over assignments of trajectories to corpora by lot."""
    rng = np.random.default_rng(_SEED)
    pooled_MLE = np.concatenate(weights)
    ends = np.cumsum([len(weights_MLE) for weights_MLE in weights])[:-1]
    draws = []
    for _ in range(SHUFFLES):
        parts = np.split(pooled_MLE[rng.permutation(len(pooled_MLE))], ends)
        draws.append(mutual_information_bits(np.stack([part.mean(axis=0) for part in parts])))
    mean_L: NDArray[np.float64] = np.mean(draws, axis=0)
    return mean_L


def _nested(table_LE: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in table_LE.tolist())
