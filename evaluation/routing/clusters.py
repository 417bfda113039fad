"""How far corpora lie apart before anything is learnt: windows in, purity of their clusters out.

Axes: N windows, K corpora and as many clusters, L channels of latents.
A window becomes the mean, over its frames and over space, of the latents that an encoder of fresh
weights gives; k-means makes clusters of the windows of all corpora without knowing which is whose.
That fields of other spectra, or with solids, part by themselves is the floor under a router's
purity.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans, vq

from data_shards.shards.corpus import ShardedCorpus
from evaluation.routing.routes import over_trajectories
from evaluation.routing.sampling import Window, load_contexts
from foundation import Surrogate
from foundation.models.flow import FlowNetwork
from foundation.models.registry import build_model
from foundation.moe.purity import purity
from foundation.nn.flow_autoencoder import flow_of

_STARTS = 20  # of k-means, of which the one of the least sum of squares counts


def untrained_purity(
    model: Surrogate,
    splits: Sequence[tuple[ShardedCorpus, list[Window]]],
    seed: int,
    batch_size: int,
) -> float | None:
    """Purity of clusters of latents that nobody has trained; None of a network without latents.

    Args:
        model: whose configuration the encoder has.
        splits: of every corpus, and which windows of it.
        seed: of the encoder's weights and of the clusters' starts.
        batch_size: windows per call; changes nothing but rounding.
    """
    if not isinstance(model.network, FlowNetwork):
        return None
    device = next(model.parameters()).device
    network = build_model(model.config, seed).eval().to(device)
    assert isinstance(network, FlowNetwork)
    means = [_mean_latents(network, *split, batch_size) for split in splits]
    trajectories = [np.array([number for number, _ in windows]) for _, windows in splits]
    return cluster_purity(means, trajectories, seed)


def cluster_purity(
    features: Sequence[NDArray[np.float64]], trajectories: Sequence[NDArray[np.int64]], seed: int
) -> float:
    """Share of windows that are of the corpus which has most of their cluster.

    Args:
        features: of the windows of each corpus (N, L).
        trajectories: number of each window's (N,); all of a corpus weigh alike, as corpora do.
        seed: of the clusters' starts.

    Returns:
        1 if every corpus is a cluster, 1 / K if all are spread alike.
    """
    centres = _centres(np.concatenate(features), len(features), seed)
    usage_KE = [
        over_trajectories(np.eye(len(centres))[vq(own, centres)[0]], numbers).mean(axis=0)
        for own, numbers in zip(features, trajectories, strict=True)
    ]
    return float(purity(torch.from_numpy(np.stack(usage_KE))))


def _centres(points: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    """Of clusters (K, L); fewer where points coincide."""
    rng = np.random.default_rng(seed)
    tried = [kmeans(points, count, iter=1, thresh=0.0, rng=rng)[0] for _ in range(_STARTS)]
    return min(tried, key=lambda centres: float(np.square(vq(points, centres)[1]).sum()))


@torch.inference_mode()
def _mean_latents(
    network: FlowNetwork, corpus: ShardedCorpus, windows: list[Window], batch_size: int
) -> NDArray[np.float64]:
    """(N, L)."""
    device = next(network.parameters()).device
    layout, frames = network.config.layout, network.config.context_frames
    means = []
    for first in range(0, len(windows), batch_size):
        batch = load_contexts(corpus, windows[first : first + batch_size], layout, frames)
        batch = batch.to(device)
        latents = network.autoencoder.encode(batch.given, flow_of(batch))
        means.append(latents.double().mean((1, 3, 4, 5)).cpu().numpy())
    return np.concatenate(means)
