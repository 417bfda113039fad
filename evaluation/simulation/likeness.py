"""To which corpus's experts a model's routers send a simulation: windows and fingerprints in.

No verdict follows from it: routers of fresh weights told 16 strangers from the corpora of the
training about as well as trained ones did (`studies/strangers`).
Axes: N windows, K corpora, L blocks, E routed experts, C channels, R cells of the model.
Distances are those of `routing.inference` and `routing.detection`, all blocks together: the
cross entropy of the windows' mean distribution with a corpus's fingerprint, and the
divergence (of Kullback and Leibler), which is 0 for the fingerprint itself.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveInt

from data_shards.config import Config
from data_shards.errors import UserError
from evaluation.routing.fingerprints import Fingerprints, read_fingerprints
from evaluation.routing.inference import cross_entropies, entropies
from evaluation.routing.task import RoutingTask
from evaluation.simulation.on_model_grid import OnModelGrid
from foundation import Surrogate
from foundation.models.types import Prediction

_EPSILON: float = RoutingTask.model_fields["epsilon"].default
_BATCH = 8


class CorpusDistance(Config):
    """How far the simulation's routes are from those of a corpus, in nats."""

    corpus: str
    cross_entropy: float
    divergence: float
    windows: float  # share of the simulation's windows that are nearest to this corpus


class Likeness(Config):
    """What the routers say of a simulation.

    `reach` is the divergence of the nearest corpus's fingerprint from a typical other one (the
    median: corpora of the same equation are all but equal). None with a single corpus.
    """

    windows: PositiveInt
    corpora: tuple[CorpusDistance, ...]  # the nearest first
    reach: NonNegativeFloat | None

    @property
    def nearest(self) -> CorpusDistance:
        return self.corpora[0]

    @property
    def strangeness(self) -> float | None:
        """Divergence over reach: 0 routed as the corpus is, 1 as another corpus is."""
        return self.nearest.divergence / self.reach if self.reach else None


def find_fingerprints(model: Surrogate, folder: Path | None) -> tuple[Fingerprints | None, str]:
    """The fingerprints beside a checkpoint, or why there are none.

    Args:
        model: of the checkpoint.
        folder: of the checkpoint; None if it is not known.
    """
    if not model.config.num_routed:
        return None, f"{model.config.model_type} is a dense model: it has no routers to ask"
    if folder is None:
        return None, "no checkpoint folder was named, so there are no fingerprints of corpora"
    try:
        return read_fingerprints(folder, model.fingerprint), ""
    except UserError as error:
        return None, str(error)


def likeness(
    model: Surrogate, placed: OnModelGrid, starts: list[int], fingerprints: Fingerprints
) -> Likeness:
    """Compare the routes of some windows with the fingerprints of corpora.

    Args:
        model: in evaluation mode.
        placed: the simulation on its grid.
        starts: first frames of the windows.
        fingerprints: of the same model.
    """
    routes_NLE = np.concatenate(
        [
            _routes(model, placed, starts[first : first + _BATCH], fingerprints.temperature)
            for first in range(0, len(starts), _BATCH)
        ]
    )
    known_KLE = fingerprints.probabilities_KLE
    mean_1LE = routes_NLE.astype(np.float64).mean(0, keepdims=True)
    cross_K = cross_entropies(mean_1LE, known_KLE, _EPSILON)[0, :, -1]
    divergence_K = np.maximum(cross_K - entropies(mean_1LE)[0, -1], 0.0)
    given_N = cross_entropies(routes_NLE, known_KLE, _EPSILON)[:, :, -1].argmin(1)
    order = np.argsort(cross_K, kind="stable")
    return Likeness(
        windows=len(starts),
        corpora=tuple(
            CorpusDistance(
                corpus=fingerprints.names[k],
                cross_entropy=float(cross_K[k]),
                divergence=float(divergence_K[k]),
                windows=float((given_N == k).mean()),
            )
            for k in order
        ),
        reach=_reach(known_KLE, int(order[0])),
    )


def _reach(known_KLE: NDArray[np.float64], nearest: int) -> float | None:
    """Divergence of one fingerprint from a typical other one."""
    if len(known_KLE) < 2:
        return None
    own = known_KLE[nearest : nearest + 1]
    apart_K = cross_entropies(own, known_KLE, _EPSILON)[0, :, -1] - entropies(own)[0, -1]
    return max(0.0, float(np.median(np.delete(apart_K, nearest))))


@torch.inference_mode()
def _routes(
    model: Surrogate, placed: OnModelGrid, starts: list[int], temperature: float
) -> NDArray[np.float32]:
    """Distributions over all experts (B, L, E)."""
    batch = model.batch_of(placed.contexts(starts), placed.fluid, placed.origins(len(starts)))
    prediction: Prediction = model(batch)
    logits = torch.stack([block.logits_BE for block in prediction.routing], dim=1)
    return (logits / temperature).softmax(-1).float().cpu().numpy()
