"""Router: gate logits in, each sample's experts and their weights out.

Axes: B samples, E routed experts, K experts chosen per sample; L blocks, where they stand together.
Source: MoE-POT, network item 4. The published code multiplies a Python float
by 0.99 inside `forward` and keeps it nowhere; here the temperature is a
function of the training step. `gate: prototypes` with `weights: probability` and one expert
chosen is the soft-semantic router of Shodh-MoE, of which the abstract was read, with the weights of
Switch transformers (Fedus et al. 2021). `by: corpus` and `by: random` route without a gate, to
compare with: by what a sample is of, and by an even choice that its trajectory keeps.
Of no paper is `sees: context`: one gate for all blocks, by what is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self

import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from data_shards.config import Config, later
from data_shards.hashing import keyed
from data_shards.stream.batch import Batch
from foundation.moe.gate import Gate, GateNorm, PrototypeGate
from foundation.nn.outside_graphs import outside_graphs

_CERTAIN = 20.0  # logit of an expert that is given, beside zeros


class TemperatureSchedule(Config):
    """Softmax temperature over training: `max(floor, start * decay ** step)`."""

    start: PositiveFloat = 2.0
    decay: float = Field(default=0.99, gt=0.0, le=1.0)
    floor: PositiveFloat = 0.5

    def at(self, step: int) -> float:
        """Temperature after `step` optimiser steps, dimensionless."""
        return max(self.floor, self.start * self.decay**step)


class RouterConfig(Config):
    """Which experts there are and how a sample chooses among them."""

    num_experts: PositiveInt = 16  # routed only; shared experts are separate
    top_k: PositiveInt = 4
    # What is routed; a sample's whole map as published.
    unit: Literal["sample", "token"] = later("sample")
    # What a gate sees: the features before its block's experts, as published; or the frames that
    # are given (foundation/models/context.py), one gate for all blocks.
    sees: Literal["features", "context"] = later("features")
    gate: Literal["mlp", "prototypes"] = later("mlp")
    gate_norm: GateNorm = "layer"
    sharpness: PositiveFloat = later(10.0)  # logits of prototypes per cosine
    neighbourhood: PositiveInt = later(1)  # tokens along a side of the box whose mean is routed
    # Over the chosen alone, so that they sum to one, or the softmax over all of the experts.
    weights: Literal["chosen", "probability"] = later("chosen")
    by: Literal["gate", "corpus", "random"] = later("gate")
    temperature: TemperatureSchedule = TemperatureSchedule()

    @model_validator(mode="after")
    def _top_k_fits(self) -> Self:
        if self.top_k > self.num_experts:
            raise ValueError(
                f"router.top_k={self.top_k} exceeds router.num_experts={self.num_experts}; "
                "lower top_k or add experts"
            )
        return self

    @model_validator(mode="after")
    def _neighbourhood_fits(self) -> Self:
        if self.neighbourhood > 1 and (self.unit != "token" or self.neighbourhood % 2 == 0):
            raise ValueError(
                f"router.neighbourhood={self.neighbourhood}: an odd number of tokens, of "
                "router.unit=token; leave it at 1"
            )
        if self.by != "gate" and self.top_k != 1:
            raise ValueError(f"router.by={self.by} assigns one expert; set router.top_k=1")
        return self

    @model_validator(mode="after")
    def _context_is_of_samples(self) -> Self:
        if self.sees == "context" and (self.unit, self.by) != ("sample", "gate"):
            raise ValueError(
                "router.sees=context: a gate routes whole samples by it; leave router.unit and "
                "router.by out"
            )
        return self

    @property
    def decides_first(self) -> bool:
        """Whether all blocks route alike, as is decided before them."""
        return self.sees == "context" or self.by != "gate"


@dataclass(frozen=True)
class Routing:
    """How one block routed a batch.

    Attributes:
        logits_BE: gate output (B, E).
        experts_BK: chosen experts (B, K) int64, best first.
        weights_BK: their weights (B, K), zero is not chosen; each row sums to one, or to less
            where they are probabilities among all experts.
    """

    logits_BE: Tensor
    experts_BK: Tensor
    weights_BK: Tensor

    @property
    def shares_BE(self) -> Tensor:
        """Share of each expert in a sample's choices (B, E); each row sums to one."""
        return self.chosen_BE / self.experts_BK.shape[-1]

    @property
    def probabilities_BE(self) -> Tensor:
        """Softmax of the logits over all experts (B, E): the fingerprint of a sample."""
        return self.logits_BE.softmax(dim=-1)

    @property
    def chosen_BE(self) -> Tensor:
        """True where an expert was chosen (B, E)."""
        return self.weights_BE > 0

    @property
    def weights_BE(self) -> Tensor:
        """Weights by expert (B, E), zero where not chosen."""
        return torch.zeros_like(self.logits_BE).scatter(-1, self.experts_BK, self.weights_BK)


@dataclass(frozen=True)
class PooledRouting(Routing):
    """How the tokens of a block's samples were routed, in the mean over a sample's tokens.

    Any number of experts may be among the chosen: K is E, and those at the end have no weight.
    Logits are the logarithms of mean probabilities, at the temperature of the softmax alone.
    """

    mean_shares_BE: Tensor

    @property
    def shares_BE(self) -> Tensor:
        return self.mean_shares_BE


def of_blocks(routing: Sequence[Routing]) -> Routing:
    """Those of all blocks in one, its tensors (L, B, ...): what is counted takes one launch."""
    first = routing[0]
    parts = ([getattr(each, part.name) for each in routing] for part in fields(first))
    return type(first)(*(torch.stack(part) for part in parts))


def pooled(by_token: Routing, samples: int) -> PooledRouting:
    """What tokens of equally many per sample chose, as the routing of their samples.

    Args:
        by_token: of all tokens, those of a sample one after the other.
        samples: B.
    """
    num_experts = by_token.logits_BE.shape[1]
    probabilities_BE, weights_BE, shares_BE = (
        of_token.view(samples, -1, num_experts).mean(1)
        for of_token in (by_token.probabilities_BE, by_token.weights_BE, by_token.shares_BE)
    )
    ordered = weights_BE.sort(dim=1, descending=True)
    tiny = torch.finfo(probabilities_BE.dtype).tiny  # a slope at zero would be infinite
    return PooledRouting(
        probabilities_BE.clamp(min=tiny).log(), ordered.indices, ordered.values, shares_BE
    )


def assigned(config: RouterConfig, batch: Batch) -> Routing | None:
    """Where no gate chooses, the routing of the samples; else None."""
    if config.by == "gate":
        return None
    by_corpus = config.by == "corpus"
    number = config.num_experts
    expert_B = batch.corpus_id % number if by_corpus else _by_trajectory(batch, number)
    logits_BE = _CERTAIN * F.one_hot(expert_B, number).float()
    return Routing(logits_BE, expert_B[:, None], torch.ones_like(logits_BE[:, :1]))


# A graph would hold for the names of the batch that it was made of.
@outside_graphs
def _by_trajectory(batch: Batch, num_experts: int) -> Tensor:
    # In training a corpus stands before a trajectory's name, in validation it does not.
    trajectories = [key.rpartition("/")[2].partition("@")[0] for key in batch.keys]
    return batch.corpus_id.new_tensor([keyed(key, 0) % num_experts for key in trajectories])


def block_router(features: int, config: RouterConfig) -> "Router | None":
    """The router of one block; None where one for all blocks sees the context."""
    return Router(features, config) if config.sees == "features" else None


class Router(nn.Module):
    """Gate, top-k, and softmax over the logits."""

    def __init__(self, features: int, config: RouterConfig) -> None:
        super().__init__()
        self.top_k, self.weights = config.top_k, config.weights
        self.gate: Gate | PrototypeGate = (
            Gate(features, config.num_experts, config.gate_norm)
            if config.gate == "mlp"
            else PrototypeGate(features, config.num_experts, config.sharpness)
        )
        if config.by != "gate":  # nothing would teach it
            self.requires_grad_(False)

    def forward(self, features_BF: Tensor, temperature: float | Tensor) -> Routing:
        """Route each sample by its mean features (B, F)."""
        logits_BE = self.gate(features_BF)
        chosen_BK, experts_BK = logits_BE.topk(self.top_k, dim=-1)
        if self.weights == "probability":
            among_all = (logits_BE / temperature).softmax(dim=-1)
            return Routing(logits_BE, experts_BK, among_all.gather(1, experts_BK))
        weights_BK = (chosen_BK / temperature).softmax(dim=-1)
        return Routing(logits_BE, experts_BK, weights_BK)
