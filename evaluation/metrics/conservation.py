"""Drift of what the equation conserves: a forecast in, one value per sample out.

Axes: B samples, T predicted frames, K components of the quantity, H rows, W columns.
Source: PDEBench (NeurIPS 2022), cRMSE: the integral over the domain of the
prediction against that of the truth at the same frame.
Departures: relative, and of densities like that of the energy, not of channels. With the
truth's own frame as the reference a perfect forecast has no drift, even where storing and
resizing the truth moved its integral.
"""

import torch
from torch import Tensor

from evaluation.metrics.expression import evaluate
from evaluation.metrics.forecast import Forecast
from evaluation.metrics.points import or_inf


def drift(forecast: Forecast, quantity: str) -> Tensor:
    """Largest drift of a conserved quantity along the rollout.

    `max_t |<q(pred_t)> - <q(true_t)>| / rms q(true)`, `<>` the mean over the domain, rms over
    the domain and all frames, |.| over the components of a vector.

    Returns:
        (B,), dimensionless; inf where the forecast is not finite.
    """
    pred_BTKHW = _density(forecast, forecast.pred_BTCHW, quantity)
    true_BTKHW = _density(forecast, forecast.true_BTCHW, quantity)
    means_BTK = pred_BTKHW.mean((-1, -2)) - true_BTKHW.mean((-1, -2))
    size_B = true_BTKHW.square().sum(2).mean((1, 2, 3)).sqrt()
    largest_B = torch.linalg.vector_norm(means_BTK, dim=2).amax(1)
    return or_inf(torch.where(largest_B == 0, 0.0, largest_B / size_B))


def _density(forecast: Forecast, fields_BTCHW: Tensor, quantity: str) -> Tensor:
    """The quantity per volume (B, T, K, H, W), summed in double: drifts are small."""
    assert forecast.setting.conserved is not None
    fields = fields_BTCHW.double()
    names = forecast.setting.channels
    values = {name: fields[:, :, i] for i, name in enumerate(names)}
    values = _parameters(forecast, fields) | values
    components = [evaluate(text, values) for text in forecast.setting.conserved[quantity]]
    return torch.stack(components, dim=2)


def _parameters(forecast: Forecast, like: Tensor) -> dict[str, Tensor]:
    """Parameters that every sample has, each (B, 1, 1, 1)."""
    known = [origin.parameters or {} for origin in forecast.origins]
    shared = set(known[0]).intersection(*known[1:])
    return {
        name: like.new_tensor([float(p[name]) for p in known]).reshape(-1, 1, 1, 1)
        for name in sorted(shared)
    }
