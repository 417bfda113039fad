"""Expert parallelism: a bank of routed experts spread over ranks, as DeepSpeed's own MoE.

Axes: B samples of this rank, S of them sent (a sample once per rank that owns
one of its experts), M received, N tokens, F features, D width, R ranks of the
expert-parallel group, E experts in all, L of them on this rank.

The bank subclasses `deepspeed.moe.layer.MoE`, so that the engine builds the
expert groups, reduces and clips expert gradients and saves one file per
expert; what it computes is ours: dropless, per sample, with uneven exchanges.

Traps stepped around (DeepSpeed 0.19):
- Its `Experts` copies one initialisation into a list. Ours are stacked, and
  stand in state dicts by the numbers from 0 that its saver and loader expect.
- Its universal checkpoints know a parameter by its name alone: a stack's name
  on a rank says which experts are in it, "deepspeed_experts.0-7.weight".
- A state key with "expert" in it outside `deepspeed_moe.experts` breaks
  saving: shared experts and router stay outside this module.
"""

from typing import Any

import torch
import torch.distributed as dist
from deepspeed.moe.layer import MoE
from deepspeed.moe.sharded_moe import MOELayer
from torch import Tensor, nn

from foundation.constraint.bank import BoxBank
from foundation.moe.experts import ExpertBank, Experts, RoutedExperts
from foundation.moe.mixing import ExpertRoutes, Maps, mix_chosen
from foundation.moe.router import Routing
from foundation.nn.normalise import SampleBatchNorm
from foundation.nn.outside_graphs import outside_graphs
from foundation.parallel.box_parallel import ParallelBoxBank
from foundation.parallel.collectives import begin_exchange, exchange_counts, sum_over_ranks
from foundation.parallel.layout import check_layout

_LOCAL = "deepspeed_moe.experts.deepspeed_experts."


class _LocalExperts(nn.Module):
    """The experts of this rank."""

    def __init__(self, experts: RoutedExperts, group_name: str) -> None:
        super().__init__()
        self.numbers = numbers_of(experts.first, len(experts))
        self.deepspeed_experts = nn.ModuleDict({self.numbers: experts})
        self.num_local_experts = len(experts)
        for parameter in self.parameters():
            parameter.allreduce = False  # type: ignore[attr-defined]
            parameter.group_name = group_name  # type: ignore[attr-defined]


class _NoGate(nn.Module):
    """Routing is decided before the bank; DeepSpeed's layer still asks for a gate."""

    def _set_ep_group(self, group: Any) -> None:
        self.ep_group = group


class _DroplessLayer(MOELayer):  # type: ignore[misc]
    """Exchange, local experts, exchange back, sum; shared experts while samples travel."""

    def forward(self, rows_BNF: Tensor, routing: Routing, shared: Experts | None) -> Tensor:
        experts: RoutedExperts = self.experts.deepspeed_experts[self.experts.numbers]
        if self.ep_size == 1:
            routes = ExpertRoutes.of_choices(routing.experts_BK, routing.weights_BK, len(experts))
            return experts.mixed(rows_BNF, routes, shared)
        mixed: Tensor = self._exchanged(rows_BNF, routing, experts, shared)
        return mixed

    # Sizes and collectives are of the moment: no part of a compiled graph.
    @outside_graphs
    def _exchanged(
        self,
        rows_BNF: Tensor,
        routing: Routing,
        experts: RoutedExperts,
        shared: Experts | None,
    ) -> Tensor:
        num_samples = rows_BNF.shape[0]
        weights_BRL = routing.weights_BE.view(num_samples, self.ep_size, -1)
        owners, samples = weights_BRL.any(-1).t().nonzero(as_tuple=True)
        counts = torch.bincount(owners, minlength=self.ep_size)
        sent, received = counts.tolist(), exchange_counts(counts, self.ep_group)
        rows_MNF = begin_exchange(rows_BNF[samples], sent, received, self.ep_group)
        weights_ML = begin_exchange(weights_BRL[samples, owners], sent, received, self.ep_group)
        first, last = _halves(shared)
        shares = _shares(first, rows_BNF, shared)
        mixed_MND = experts.mixed(rows_MNF(), ExpertRoutes.of_weights(weights_ML()), None)
        parts_SND = begin_exchange(mixed_MND, received, sent, self.ep_group)
        shares += _shares(last, rows_BNF, shared)
        arrived_SND = parts_SND()
        out_BND = arrived_SND.new_zeros(num_samples, *arrived_SND.shape[1:])
        return sum(shares, out_BND.index_add(0, samples, arrived_SND))


def _halves(shared: Experts | None) -> tuple[Maps | None, Maps | None]:
    """Of the shared experts, those to compute while samples go and while they come back."""
    if shared is None:
        return None, None
    first = (len(shared) + 1) // 2
    parts = (torch.split(tensor, [first, len(shared) - first]) for tensor in shared.maps)
    one, other = (Maps(weight, bias) for weight, bias in zip(*parts, strict=True))
    return one, other if len(shared) > 1 else None


def _shares(some: Maps | None, rows_BNF: Tensor, shared: Experts | None) -> list[Tensor]:
    """What some of the shared experts add to the mean of all; nothing of none."""
    if some is None or shared is None:
        return []
    nobody = ExpertRoutes.of_weights(rows_BNF.new_zeros(len(rows_BNF), 0))
    return [mix_chosen(rows_BNF, nobody, None, some) * (len(some.bias_ED) / len(shared))]


class ExpertParallelBank(MoE):  # type: ignore[misc]
    """Stands in for an `ExpertBank`; same inputs, same outputs, fewer experts held."""

    def __init__(self, bank: ExpertBank, ep_size: int, ep_rank: int) -> None:
        # DeepSpeed's own constructor would copy experts and build a token gate.
        nn.Module.__init__(self)
        self.use_residual = False
        self.enable_expert_tensor_parallelism = False
        self.ep_size = ep_size
        self.expert_group_name = f"ep_size_{ep_size}"
        self.num_experts = bank.num_experts
        self.num_local_experts = bank.num_experts // ep_size
        first = ep_rank * self.num_local_experts
        owned = bank.experts.part(first, self.num_local_experts)
        experts = _LocalExperts(owned, self.expert_group_name)
        self.deepspeed_moe = _DroplessLayer(
            _NoGate(), experts, self.expert_group_name, ep_size, self.num_local_experts
        )
        self.register_state_dict_post_hook(_without_numbers)
        self.register_load_state_dict_pre_hook(_with_numbers)

    @property
    def experts(self) -> RoutedExperts:
        """Those of this rank."""
        local = self.deepspeed_moe.experts
        return local.deepspeed_experts[local.numbers]  # type: ignore[no-any-return]

    def forward(self, rows_BNF: Tensor, routing: Routing, shared: Experts | None) -> Tensor:
        """(B, N, F) -> (B, N, D), weighted sum of each sample's experts and mean of the shared."""
        return self.deepspeed_moe(rows_BNF, routing, shared)  # type: ignore[no-any-return]


def numbers_of(first: int, number: int) -> str:
    """The experts of a rank, in the name of their stack."""
    return f"{first}-{first + number - 1}"


def _without_numbers(
    bank: ExpertParallelBank, state: dict[str, Tensor], prefix: str, _metadata: Any
) -> None:
    _rename(state, f"{prefix}{_LOCAL}{bank.deepspeed_moe.experts.numbers}.", prefix + _LOCAL)


def _with_numbers(
    bank: ExpertParallelBank, state: dict[str, Tensor], prefix: str, *_rest: Any
) -> None:
    _rename(state, prefix + _LOCAL, f"{prefix}{_LOCAL}{bank.deepspeed_moe.experts.numbers}.")


def _rename(state: dict[str, Tensor], before: str, after: str) -> None:
    for name in [name for name in state if name.startswith(before)]:
        state[after + name.removeprefix(before)] = state.pop(name)


def spread_experts(model: nn.Module, ep_size: int) -> None:
    """Replace every bank of experts or boxes by its parallel form, in place.

    Also makes batch statistics those of all ranks. Call it on every rank, on
    a model that holds all experts, before the engine is built.

    Args:
        model: in plain torch, e.g. from `build_model`.
        ep_size: ranks that share one set of experts.
    """
    rank = dist.get_rank() % ep_size
    for module in list(model.modules()):
        if isinstance(module, SampleBatchNorm):
            module.sum_over_ranks = sum_over_ranks
        for name, child in module.named_children():
            if isinstance(child, BoxBank) and ep_size > 1:
                check_layout(child.num_boxes, dist.get_world_size(), ep_size, "boxes")
                setattr(module, name, ParallelBoxBank(child, ep_size))
            if isinstance(child, ExpertBank):
                check_layout(child.num_experts, dist.get_world_size(), ep_size)
                setattr(module, name, ExpertParallelBank(child, ep_size, rank))
