"""Floors of ground states: what answers without learning, or with two or three numbers.

Axes: B samples, S basis states, K exponents.
- all_up: the state without a field, whatever the field is.
- interpolated: between labels at equally spaced fields of the labelled range, on a line through
  both neighbours; beyond it the last label.
- variational_2, variational_3: amplitudes exp(a m + b C) and exp(a m + b C + c m^2 / n), of the
  magnetisation m = sum sz and the bonds C = sum sz sz, whose energy is minimised at every
  field; no labels, no training.
- box: the particle's state without a potential.
Chains have the first four, a particle the last.
"""

from collections.abc import Callable
from functools import cache
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from data_shards.generate.ground_state import ground_state
from data_shards.generate.spin_chain import hamiltonian
from data_shards.stream.batch import Batch
from foundation.physics.ground_states import CHAIN, PARTICLE, chain_of
from foundation.physics.particle import box_state
from foundation.physics.spin_chain import SpinChain

LABELLED, LABELS = (0.01, 0.5), 100  # fields of the published training, and how many are known
StateOf = Callable[[SpinChain, float], Tensor]  # a chain and its field in, amplitudes (S,) out
StateFloor = Callable[[Batch, int], Tensor]
Array = NDArray[np.float64]


def all_up(chain: SpinChain, field: float) -> Tensor:
    """Every spin up (S,)."""
    state_S = torch.zeros(chain.states, dtype=torch.float64)
    state_S[0] = 1.0
    return state_S


def interpolated(chain: SpinChain, field: float) -> Tensor:
    """On the line between the nearest labels (S,); the nearest one beyond their range."""
    low, high = LABELLED
    place = (min(max(field, low), high) - low) / (high - low) * (LABELS - 1)
    left = min(int(place), LABELS - 2)
    share = place - left
    state_S = (1 - share) * _label(chain, left) + share * _label(chain, left + 1)
    return state_S.div(state_S.norm())


def variational(chain: SpinChain, field: float, exponents: int) -> Tensor:
    """The state of least energy among those with so many exponents, 2 or 3 (S,).

    Two starts, of the ordered and of the disordered side; the better end counts.
    """
    m_S = chain.magnetisation_S
    all_SK = np.stack([m_S, chain.correlation(1), m_S**2 / chain.sites], axis=1)
    features_SK = torch.from_numpy(all_SK[:, :exponents].astype(np.float64))
    field_1 = torch.tensor([field], dtype=torch.float64)

    def energy(exponents_K: Array) -> tuple[float, Array]:
        """And its gradient, by the residual: `2 f_k c . (H c - E c)` for c of length 1."""
        c_BS = _positive(features_SK @ torch.from_numpy(exponents_K))[None]
        applied_BS = chain.apply(c_BS, field_1)
        value = (c_BS * applied_BS).sum()
        slope_K = 2 * (c_BS * (applied_BS - value * c_BS)) @ features_SK
        return float(value), slope_K[0].numpy()

    starts = (np.full(exponents, 0.0), np.array([1.0, 0.5, 0.0][:exponents]))
    found = [minimize(energy, start, jac=True, method="BFGS", tol=1e-9) for start in starts]
    best = min(found, key=lambda each: float(each.fun))
    return _positive(features_SK @ torch.from_numpy(best.x))


def of_chains(state: StateOf) -> StateFloor:
    """A floor that answers every sample of a batch by its chain and field."""

    def answer(batch: Batch, steps: int) -> Tensor:
        chain = chain_of(batch.origins[0], prod(batch.given.shape[3:]))
        fields = [(origin.parameters or {})["field"] for origin in batch.origins]
        states_BS = torch.stack([state(chain, field) for field in fields])
        return _as_frames(states_BS, batch, steps)

    return answer


def box(batch: Batch, steps: int) -> Tensor:
    """The state of an empty box, for every potential."""
    state_S = box_state(tuple(batch.given.shape[3:])).flatten()
    return _as_frames(state_S.expand(len(batch), -1), batch, steps)


STATE_FLOORS: dict[str, StateFloor] = {
    "all_up": of_chains(all_up),
    "interpolated": of_chains(interpolated),
    "variational_2": of_chains(lambda chain, field: variational(chain, field, 2)),
    "variational_3": of_chains(lambda chain, field: variational(chain, field, 3)),
    "box": box,
}
FLOORS_OF_SYSTEM = {CHAIN: tuple(STATE_FLOORS)[:-1], PARTICLE: ("box",)}


@cache
def _label(chain: SpinChain, number: int) -> Tensor:
    field = float(np.linspace(*LABELLED, LABELS)[number])
    matrix = hamiltonian(chain.sites, field, chain.longitudinal, periodic=chain.periodic)
    return torch.from_numpy(ground_state(matrix).amplitudes)


def _positive(log_S: Tensor) -> Tensor:
    """Amplitudes of length 1 from their logarithms, up to a constant."""
    return (log_S - torch.logsumexp(2 * log_S, dim=0) / 2).exp()


def _as_frames(states_BS: Tensor, batch: Batch, steps: int) -> Tensor:
    grid = batch.given.shape[3:]
    return states_BS.to(batch.given).view(len(batch), 1, 1, *grid).expand(-1, steps, *(-1,) * 3)
