"""How near a predicted vector is to a ground state, whatever its sign and length.

Axes: B samples, S basis states or points. Predictions are judged in float64; the exact state is the
stored one, in float32, whose own infidelity is 1e-14.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.points import or_inf
from foundation.physics.ground_states import (
    CHAIN,
    SYSTEMS,
    chain_of,
    energy_and_residual,
    hamiltonian_of,
)
from foundation.physics.ground_states import overlap as overlap_of
from foundation.physics.spin_chain import SpinChain, mean_of

Observable = Callable[[SpinChain, Tensor], Tensor]


def is_of_states(setting: Setting) -> bool:
    """Whether amplitudes of a known system are judged; of those no state is ever left out."""
    return setting.pde in SYSTEMS


def is_of_spins(setting: Setting) -> bool:
    """Whether these are states of a spin chain, which have an order."""
    return is_of_states(setting) and setting.pde == CHAIN


def overlap(forecast: Forecast) -> Tensor:
    """`|c . d| / |c||d|` of prediction and truth (B,); 0 where not finite."""
    value_B = overlap_of(amplitudes(forecast.pred_BTCHW), amplitudes(forecast.true_BTCHW))
    return torch.where(torch.isfinite(value_B), value_B, 0.0)


def infidelity(forecast: Forecast) -> Tensor:
    """`1 - overlap^2` (B,), computed from the part of c that is not along d."""
    c_BS, d_BS = amplitudes(forecast.pred_BTCHW), amplitudes(forecast.true_BTCHW)
    c_BS, d_BS = (each / each.norm(dim=1, keepdim=True) for each in (c_BS, d_BS))
    beside_BS = c_BS - (c_BS * d_BS).sum(1, keepdim=True) * d_BS
    return or_inf(beside_BS.square().sum(1))


def energy_error(forecast: Forecast) -> Tensor:
    """Energy of the prediction above the exact one, relative to its size (B,)."""
    energy_B, _ = _energy_and_residual(forecast)
    exact_B = torch.tensor(
        [(origin.parameters or {})["energy"] for origin in forecast.origins],
        dtype=torch.float64,
        device=energy_B.device,
    )
    return or_inf((energy_B - exact_B) / exact_B.abs())


def eigen_residual(forecast: Forecast) -> Tensor:
    """`||H c - E c|| / ||c||` with the prediction's own energy (B,)."""
    return or_inf(_energy_and_residual(forecast)[1])


def magnetisation(chain: SpinChain, c_BS: Tensor) -> Tensor:
    """Mean of sz of a spin (B,)."""
    return mean_of(chain.magnetisation_S / chain.sites, c_BS)


def correlation(chain: SpinChain, c_BS: Tensor) -> Tensor:
    """Mean of sz sz of two spins half a chain apart (B,)."""
    distance = chain.sites // 2
    pairs = chain.sites if chain.periodic else chain.sites - distance
    return mean_of(chain.correlation(distance) / pairs, c_BS)


def predicted(observable: Observable) -> Callable[[Forecast], Tensor]:
    """An observable of the predicted state."""
    return lambda forecast: or_inf(_observed(observable, forecast, forecast.pred_BTCHW))


def exact(observable: Observable) -> Callable[[Forecast], Tensor]:
    """An observable of the true state."""
    return lambda forecast: _observed(observable, forecast, forecast.true_BTCHW)


def amplitudes(fields_BTCHW: Tensor) -> Tensor:
    """The first channel of the first frame, float64 (B, S)."""
    return fields_BTCHW[:, 0, 0].flatten(1).double()


def _observed(observable: Observable, forecast: Forecast, fields_BTCHW: Tensor) -> Tensor:
    c_BS = amplitudes(fields_BTCHW)
    return observable(chain_of(forecast.origins[0], c_BS.shape[1]), c_BS)


def _energy_and_residual(forecast: Forecast) -> tuple[Tensor, Tensor]:
    pred = forecast.pred_BTCHW[:, :1, :1].double()
    hamiltonian = hamiltonian_of(forecast.setting.pde, forecast.origins, forecast.given, pred)
    return energy_and_residual(hamiltonian, amplitudes(pred))
