"""PG-MoE: a field or a potential in, amplitudes of the ground state out, one small expert per part.

Axes: B samples, S basis states or points, P rows of features, F features, E experts.
Physics says which expert computes which amplitude: states of a chain by their number of up spins or
of domain walls, points of a box by region (see `physics/partition`). An expert maps the field
and a state's features to the logarithm of its amplitude; then all are normalised together.
Ground states have no node here, so amplitudes are positive, and features which the chain's
symmetries leave alone make amplitudes that do so exactly. A particle's features are its potential,
smoothed over several widths, beside the state of an empty box.
`amplitudes: classes` and `states` are the dense nets to compare with: the field, or the whole
potential, through one net to all amplitudes at once (`classes`: of symmetry classes); their
sign is that of the sum of amplitudes.
Every answer brings its energy and the residual of the eigenvalue problem as terms for the loss.
Source: PG-MoE (arXiv:2202.05994), of which the abstract alone was read: the split by a diagonal
quantity, features and sizes are ours; `states` with 4 layers of 100 is the net of its predecessor
(arXiv:2007.01420), fed with the field instead of the matrix.
"""

from itertools import accumulate, pairwise
from math import isclose, prod
from typing import Literal, Self

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor, nn

from data_shards.config import later
from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from data_shards.stream.origin import Origin
from foundation.models.config import FieldConfig
from foundation.models.network import Answer, FieldNetwork
from foundation.models.types import Prediction
from foundation.models.work import Work
from foundation.moe.router import PooledRouting, Routing
from foundation.physics import particle
from foundation.physics.ground_states import POTENTIAL, energy_and_residual
from foundation.physics.partition import Partition, partition_of_box, partition_of_chain
from foundation.physics.spin_chain import SpinChain

MOST_STATES = 1 << 14
FIELD = "field"
# Of potentials, in units of the box: so that they are numbers of order one.
_USUAL = 50.0
_WIDTHS = (0.0, 0.03, 0.06, 0.12, 0.25)


class PGMoEConfig(FieldConfig):
    """Everything that decides the network's shape and function."""

    model_type: Literal["pg_moe"] = "pg_moe"
    dimensions: Literal[1, 2] = later(1)
    resolution: int = Field(default=256, ge=1, le=MOST_STATES)  # states, or points along a side
    channels: PositiveInt = 1
    asked_channels: PositiveInt | None = 1
    slots: tuple[str, ...] = (FIELD,)  # or potential
    context_frames: PositiveInt = 1
    amplitudes: Literal["experts", "classes", "states"] = "experts"
    partition: Literal["hamming_weight", "domain_walls", "region", "none"] = "hamming_weight"
    width: PositiveInt = 8
    layers: int = Field(default=2, ge=1, le=64)  # hidden
    # Farthest sites whose correlation is a feature of a chain's state; None: half the chain.
    distances: PositiveInt | None = None
    regions: PositiveInt = 4  # of a box, along each axis
    periodic: bool = True  # the chain
    longitudinal: NonNegativeFloat = 0.01  # field of the chain

    @model_validator(mode="after")
    def _asks_one_state(self) -> Self:
        if self.slots not in ((FIELD,), (POTENTIAL,)):
            raise ValueError(f"slots={list(self.slots)}; wanted [{FIELD}] or [{POTENTIAL}]")
        if (self.context_frames, self.out_frames, self.num_asked) != (1, 1, 1):
            raise ValueError(
                "one frame is given and one channel of it asked: set context_frames=1, "
                "out_frames=1 and asked_channels=1"
            )
        if self.instance_norm or self.scales is not None:
            raise ValueError("a field is not normalised by itself; leave instance_norm and scales")
        return self

    @model_validator(mode="after")
    def _states_are_those_of_a_system(self) -> Self:
        if not self.is_chain:
            if self.partition not in ("region", "none") or self.amplitudes == "classes":
                raise ValueError(
                    f"partition={self.partition}, amplitudes={self.amplitudes}: a potential has no "
                    "spins and no symmetry; set partition=region, amplitudes=experts or states"
                )
            if prod(self.grid) > MOST_STATES:
                raise ValueError(
                    f"resolution={self.resolution} makes {prod(self.grid)} points; "
                    f"{MOST_STATES} at most"
                )
            return self
        sites = self.resolution.bit_length() - 1
        if self.dimensions != 1 or sites < 3 or self.resolution != 1 << sites:
            raise ValueError(
                f"resolution={self.resolution} in {self.dimensions} dimensions: a chain of n spins "
                f"has 2^n states in one, n of 3 to {MOST_STATES.bit_length() - 1}"
            )
        if self.partition == "region":
            raise ValueError("partition=region is of a box; set hamming_weight or domain_walls")
        if self.distances is not None and self.distances >= sites:
            raise ValueError(f"distances={self.distances}: the chain has {sites} sites; lower it")
        return self

    @property
    def is_chain(self) -> bool:
        """Whether the states are those of spins; else points of a box."""
        return self.slots == (FIELD,)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The strength of the chain's field, which is the same for all states."""
        return self.slots if self.is_chain else ()

    @property
    def chain(self) -> SpinChain:
        """The chain that the states are of."""
        return SpinChain(self.resolution.bit_length() - 1, self.periodic, self.longitudinal)

    @property
    def states(self) -> Partition:
        """All basis states by parts."""
        if not self.is_chain:
            return partition_of_box(self.grid, 1 if self.partition == "none" else self.regions)
        assert self.partition != "region"
        distances = self.distances or self.chain.sites // 2
        return partition_of_chain(self.chain, self.partition, distances)

    @property
    def num_experts(self) -> int:
        """Parts of the basis, if there are experts. Physics routes: no router is learnt."""
        return len(self.states.sizes) if self.amplitudes == "experts" else 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the maps of an expert, or of the dense net, from what is given on."""
        if self.amplitudes == "experts":
            features = self.states.features_PF
            given = len(_WIDTHS) if features is None else 1 + features.shape[1]
            return given, *[self.width] * self.layers, 1
        classes = self.chain.num_classes if self.amplitudes == "classes" else prod(self.grid)
        return 1 if self.is_chain else prod(self.grid), *[self.width] * self.layers, classes


class PGMoE(FieldNetwork):
    """Experts over a partition of the basis, or a dense net."""

    config: PGMoEConfig

    def __init__(self, config: PGMoEConfig) -> None:
        super().__init__(config)
        self.chain = config.chain  # of a chain alone
        if config.amplitudes == "experts":
            self.states = config.states
            self.experts = nn.ModuleList(_net(config.sizes) for _ in range(config.num_experts))
        else:
            self.dense = _net(config.sizes)

    def forward(self, batch: Batch) -> Prediction:
        """Amplitudes (B, 1, 1, *S) of what is given.

        Raises:
            UserError: the batch says that it is of another chain.
        """
        if self.config.is_chain:
            for origin in batch.origins:
                _check_chain(self.config, origin)
        return super().forward(batch)

    def answer(
        self, inputs: Tensor, statistics_B2C: Tensor | None, decided: Routing | None
    ) -> Answer:
        given_BS = inputs[:, 0, 0].flatten(1)
        routing: tuple[PooledRouting, ...] = ()
        if self.config.amplitudes == "experts":
            c_BS, log_share_BE = self._by_experts(given_BS)
            if self.config.num_experts > 1:
                routing = (_routing(log_share_BE),)
        else:
            c_BS = self._dense(given_BS)
        energy_B, residual_B = energy_and_residual(lambda c: self._hamiltonian(c, given_BS), c_BS)
        fields = c_BS.view(len(c_BS), 1, *self.config.grid)
        return Answer(fields, routing, terms={"energy": energy_B, "residual": residual_B})

    def _by_experts(self, given_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitudes (B, S), and the logarithm of each part's share of the probability (B, E)."""
        states = self.states
        rows_BPF, known_P = self._rows(given_BS)
        ends = accumulate(states.sizes, initial=0)
        logs = [
            expert(rows_BPF[:, first:last])[..., 0].float()
            for expert, (first, last) in zip(self.experts, pairwise(ends), strict=True)
        ]
        log_BP = torch.cat(logs, dim=1) + known_P
        weight_BP = 2 * log_BP + states.count_P.to(log_BP).log()
        total_B1 = weight_BP.logsumexp(1, keepdim=True)
        c_BP = (log_BP - total_B1 / 2).exp()
        parts = [part.logsumexp(1) for part in torch.split(weight_BP, list(states.sizes), dim=1)]
        return c_BP[:, states.row_S.to(c_BP.device)], torch.stack(parts, 1) - total_B1

    def _rows(self, given_BS: Tensor) -> tuple[Tensor, Tensor]:
        """What the experts see (B, P, F), and the logarithm that is known of every row (P,)."""
        states = self.states
        if states.features_PF is not None:
            features_PF = states.features_PF.to(given_BS)
            rows_BPF = features_PF.expand(len(given_BS), -1, -1)
            field_BP1 = given_BS[:, :1, None].expand(-1, len(features_PF), -1)
            return torch.cat([field_BP1, rows_BPF], dim=2), given_BS.new_zeros(())
        grid = self.config.grid
        order_P = states.row_S.argsort().to(given_BS.device)
        smooth_BSF = particle.smoothed(given_BS.view(-1, *grid), _WIDTHS) / _USUAL
        box_S = particle.box_state(grid).to(given_BS).flatten()
        return smooth_BSF.flatten(1, 2)[:, order_P], box_S.log()[order_P]

    def _dense(self, given_BS: Tensor) -> Tensor:
        """Amplitudes (B, S) of one net for all."""
        given = given_BS[:, :1] if self.config.is_chain else given_BS / _USUAL
        out: Tensor = self.dense(given).float()
        if self.config.amplitudes == "classes":
            out = out[:, torch.as_tensor(self.chain.classes_S, device=out.device)]
        sign_B1 = torch.where(out.sum(1, keepdim=True) < 0, -1.0, 1.0)
        return out.mul(sign_B1 / out.norm(dim=1, keepdim=True))

    def _hamiltonian(self, c_BS: Tensor, given_BS: Tensor) -> Tensor:
        """H c (B, S)."""
        given_BS = given_BS.to(c_BS)
        if self.config.is_chain:
            return self.chain.apply(c_BS, given_BS[:, 0])
        grid = self.config.grid
        return particle.apply(c_BS.view(-1, *grid), given_BS.view(-1, *grid)).flatten(1)


def _check_chain(config: PGMoEConfig, origin: Origin) -> None:
    """Refuse samples of another Hamiltonian, as far as they say which they are of."""
    known = origin.parameters or {}
    longitudinal = known.get("longitudinal", config.longitudinal)
    side = (origin.boundary or {}).get("left")
    periodic = config.periodic if side is None else side == "periodic"
    if periodic != config.periodic or not isclose(longitudinal, config.longitudinal, abs_tol=1e-9):
        raise UserError(
            f"the corpus is of a chain with periodic={str(periodic).lower()} and "
            f"longitudinal={longitudinal:g}, the model of one with "
            f"periodic={str(config.periodic).lower()} and longitudinal={config.longitudinal:g}; "
            "set model.periodic and model.longitudinal to the corpus's"
        )


def _net(sizes: tuple[int, ...]) -> nn.Sequential:
    """Linear maps with tanh between them."""
    parts: list[nn.Module] = []
    for before, after in pairwise(sizes):
        parts += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*parts[:-1])


def _routing(log_share_BE: Tensor) -> PooledRouting:
    """How basis states fell to experts, in the mean over the probability of a sample's state."""
    share_BE = log_share_BE.exp()
    ordered = share_BE.sort(dim=1, descending=True)
    return PooledRouting(log_share_BE, ordered.indices, ordered.values, share_BE)


def work(config: PGMoEConfig) -> Work:
    """Of a forward pass on one sample; H c is a sum of shifted copies, without products."""
    rows = len(config.states.count_P) if config.amplitudes == "experts" else 1
    maps = [before * after for before, after in pairwise(config.sizes)]
    smoothing = 0
    if not config.is_chain and config.amplitudes == "experts":
        smoothing = len(_WIDTHS) * prod(config.grid) * sum(config.grid)
    kept = rows * (config.sizes[0] + 2 * sum(config.sizes[1:])) + 4 * prod(config.grid)
    return Work(
        products=2 * (rows * sum(maps) + smoothing),
        block_products=0,
        kept=kept,
        between=kept,
        largest_block=0,
        depth=config.layers + 1,
        fixed_products=2 * (rows * maps[0] + smoothing),
    )
