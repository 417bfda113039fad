"""What tells a ground state from another vector, without its sign: overlap, energy, residual.

Axes: B samples, S basis states (points of a grid one after the other).
A Hamiltonian is what maps amplitudes (B, S) to H c (B, S); `hamiltonian_of` gives that of a corpus.
The energy `c H c / c c` is never below the lowest eigenvalue (Rayleigh and Ritz), and equals it
for the ground state alone; no label is needed to minimise it.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log2

from torch import Tensor

from data_shards.errors import UserError, unknown_name
from data_shards.stream.origin import Origin
from foundation.physics import particle
from foundation.physics.spin_chain import SpinChain

Hamiltonian = Callable[[Tensor], Tensor]

CHAIN, PARTICLE = "transverse-field Ising chain", "Schroedinger equation of a particle"
SYSTEMS = (CHAIN, PARTICLE)  # by the card's `pde`
POTENTIAL = "potential"  # name of the field that a particle is given


def overlap(c_BS: Tensor, other_BS: Tensor) -> Tensor:
    """`|c . d| / |c||d|` (B,): 1 where two vectors are one state, whatever their signs."""
    lengths_B: Tensor = c_BS.norm(dim=1) * other_BS.norm(dim=1)
    return (c_BS * other_BS).sum(1).abs() / lengths_B


def energy_and_residual(hamiltonian: Hamiltonian, c_BS: Tensor) -> tuple[Tensor, Tensor]:
    """E = c H c / c c, and `||H c - E c|| / ||c||`, (B,) each."""
    applied_BS, squares_B = hamiltonian(c_BS), c_BS.square().sum(1)
    energy_B = (c_BS * applied_BS).sum(1) / squares_B
    left_BS = applied_BS - energy_B[:, None] * c_BS
    return energy_B, (left_BS.square().sum(1) / squares_B).sqrt()


def chain_of(origin: Origin, states: int) -> SpinChain:
    """The chain that a sample of a corpus is of."""
    periodic = (origin.boundary or {}).get("left") == "periodic"
    longitudinal = (origin.parameters or {})["longitudinal"]
    return SpinChain(round(log2(states)), periodic, longitudinal)


def hamiltonian_of(
    pde: str, origins: Sequence[Origin], given: Mapping[str, Tensor], like: Tensor
) -> Hamiltonian:
    """The Hamiltonian of the samples of one corpus.

    Args:
        pde: of the card, one of `SYSTEMS`.
        origins: of every sample (B).
        given: given fields by name, (B, 1, *grid).
        like: amplitudes (B, 1, 1, *grid), for type, device and grid.

    Raises:
        UserError: another system.
    """
    if pde == CHAIN:
        chain = chain_of(origins[0], like[0].numel())
        field_B = like.new_tensor([(origin.parameters or {})["field"] for origin in origins])
        return lambda c_BS: chain.apply(c_BS, field_B)
    if pde == PARTICLE:
        potential_BHW = given[POTENTIAL][:, 0].to(like)
        return lambda c_BS: particle.apply(c_BS.view_as(potential_BHW), potential_BHW).flatten(1)
    raise UserError(str(unknown_name("system of states", pde, SYSTEMS)))
