"""How a model routes the windows of a split: model and shards in, distributions out.

Axes: N windows, B windows of a batch, L blocks, E routed experts.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from evaluation.routing.routes import Routes
from evaluation.routing.sampling import Window, load_contexts
from foundation import Surrogate
from foundation.models.types import Prediction
from foundation.moe.router import Routing

_BLANK_SAMPLES = 2
_ROUNDING = 1e-4  # of weights that sum to one


def check_routed(model: Surrogate, name: str) -> None:
    """Refuse a model that has nothing to say about a sample's route.

    Raises:
        UserError: it has no routers, or they route something else than whole samples.
    """
    routing = _routing(model, _blank_batch(model))
    if not routing:
        raise UserError(
            f"{name}: {model.config.model_type} has no routers, so there is no routing to look at; "
            "give a checkpoint of a mixture of experts"
        )
    sizes = {tuple(block.logits_BE.shape) for block in routing}
    if len(sizes) > 1 or next(iter(sizes))[0] != _BLANK_SAMPLES:
        raise UserError(
            f"{name}: its routers give logits of shapes {sorted(sizes)} for {_BLANK_SAMPLES} "
            "samples; dataset inference needs one distribution per sample, over equally many "
            "experts in every block"
        )


def _blank_batch(model: Surrogate) -> Batch:
    """Frames of zeros, which show the shapes of the routing."""
    layout = model.config.layout
    shape = (_BLANK_SAMPLES, model.config.context_frames, layout.channels, *layout.grid)
    return model.batch_of(torch.zeros(shape))


def temperature_of(model: Surrogate, wanted: str | float) -> float:
    """Temperature of the full softmax: the number asked for, or that of the model's routers."""
    if not isinstance(wanted, str):
        return wanted
    own: float | None = getattr(model.network, "temperature", None)
    return 1.0 if own is None else own


def collect_routes(
    model: Surrogate,
    corpus: ShardedCorpus,
    windows: list[Window],
    *,
    temperature: float,
    batch_size: int,
    advance: Callable[[int], object] = lambda windows: None,
) -> Routes:
    """Route windows of a split.

    Args:
        model: in evaluation mode, of one distribution per sample and block.
        corpus: an opened split.
        windows: (trajectory, start frame).
        temperature: of the full softmax.
        batch_size: windows per call; changes nothing but rounding.
        advance: told the number of windows done after every batch.
    """
    config = model.config
    layout = config.layout
    device = next(model.parameters()).device
    keys: list[str] = []
    probabilities, weights = [], []
    for first in range(0, len(windows), batch_size):
        chosen = windows[first : first + batch_size]
        batch = load_contexts(
            corpus, chosen, layout, config.context_frames, model.about.get("corpora", ())
        )
        routing = _routing(model, batch.to(device))
        probabilities.append(
            _stacked([(block.logits_BE / temperature).softmax(-1) for block in routing])
        )
        weights.append(_stacked([_shares(block.weights_BE) for block in routing]))
        keys += batch.keys
        advance(len(chosen))
    return Routes(
        corpus=corpus.name,
        keys=tuple(keys),
        trajectories_N=np.array([trajectory for trajectory, _ in windows]),
        probabilities_NLE=np.concatenate(probabilities),
        weights_NLE=np.concatenate(weights),
    )


@torch.inference_mode()
def _routing(model: Surrogate, batch: Batch) -> tuple[Routing, ...]:
    prediction: Prediction = model(batch)
    return prediction.routing


def _shares(weights_BE: Tensor) -> Tensor:
    """Rows that sum to one: weights may be probabilities among experts that were not chosen."""
    total_B1 = weights_BE.sum(1, keepdim=True)
    return torch.where((total_B1 - 1).abs() < _ROUNDING, weights_BE, weights_BE / total_B1)


def _stacked(blocks: list[torch.Tensor]) -> NDArray[np.float32]:
    """(B, E) of every block to (B, L, E)."""
    return torch.stack(blocks, dim=1).float().cpu().numpy()
