"""Chosen and shared experts on rows of features: one weighted sum out, chosen ones computed alone.

Axes: M rows (a row is a sample's whole map, or one token), N tokens of a row, F features,
D width, E routed experts, S shared ones, R routes: a row that goes to an expert is one.
An expert is a linear map and GELU. Routes are sorted by expert, so that each expert makes
one matrix product of all its rows; those that every row passes need no gathering at all.
The backward pass is written by hand: it keeps what goes into GELU and nothing else, and
weighs and sums while a row is at hand, where plain operations make a pass over memory each.
A GPU has all experts in one launch, a grouped product, and plain operations around it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundation.nn.compiled import uncompiled

_gelu_backward = torch.ops.aten.gelu_backward


@dataclass(frozen=True)
class ExpertRoutes:
    """Which row goes to which expert and with what weight, sorted by expert.

    Attributes:
        row_R: row of each route, int64, ascending within an expert.
        expert_R: expert of each route, int64.
        weights_R: weight of each route, of the gate's type.
        num_experts: E.
    """

    row_R: Tensor
    expert_R: Tensor
    weights_R: Tensor
    num_experts: int

    @classmethod
    def of_choices(cls, experts_MK: Tensor, weights_MK: Tensor, num_experts: int) -> Self:
        """K routes of every row. Nothing has to be known on the host: no GPU is waited for."""
        expert_R, order = experts_MK.flatten().sort(stable=True)
        row_R = order // experts_MK.shape[1]
        return cls(row_R, expert_R, weights_MK.flatten()[order], num_experts)

    @classmethod
    def of_weights(cls, weights_ME: Tensor) -> Self:
        """Routes of rows to the experts whose weight is not zero, as many as there are."""
        expert_R, row_R = weights_ME.t().nonzero(as_tuple=True)
        return cls(row_R, expert_R, weights_ME[row_R, expert_R], weights_ME.shape[1])

    @property
    def ends_E(self) -> Tensor:
        """End of each expert's routes, int64."""
        numbers = torch.arange(self.num_experts, device=self.expert_R.device)
        return torch.searchsorted(self.expert_R, numbers, right=True)


def mix_chosen(
    rows_MNF: Tensor,
    routes: ExpertRoutes,
    experts: Sequence[nn.Linear],
    shared: Sequence[nn.Linear] = (),
) -> Tensor:
    """Weighted sum of each row's chosen experts and mean of the shared ones.

    An expert that no row chose gets a gradient of zero, not none: ranks would otherwise
    disagree on what to reduce.

    Args:
        rows_MNF: features (M, N, F).
        routes: of the rows to the routed experts; the gradient of their weights reaches the gate.
        experts: the E routed ones.
        shared: the S that every row passes.

    Returns:
        (M, N, D), of the rows' type.
    """
    # A GPU and a compiled graph want one launch whose sizes stay on the device. Of another type
    # than bfloat16, and on a CPU, grouped products are loops that wait for those sizes.
    in_one = not rows_MNF.is_cpu or torch.compiler.is_compiling()
    if in_one and rows_MNF.dtype == torch.bfloat16:
        return mix_grouped(rows_MNF, routes, experts, shared)
    mixed: Tensor = _mix_by_hand(rows_MNF, routes, experts, shared)
    return mixed


# A graph would hold for as many chosen experts as there were when it was made.
@uncompiled
def _mix_by_hand(
    rows_MNF: Tensor,
    routes: ExpertRoutes,
    experts: Sequence[nn.Linear],
    shared: Sequence[nn.Linear],
) -> Tensor:
    maps = [*experts, *shared]
    weights = [linear.weight for linear in maps]
    biases = [linear.bias for linear in maps]
    mixed: Tensor = _Mix.apply(  # type: ignore[no-untyped-call]
        rows_MNF, routes.weights_R, routes, len(shared), *weights, *biases
    )
    return mixed


def mix_grouped(
    rows_MNF: Tensor,
    routes: ExpertRoutes,
    experts: Sequence[nn.Linear],
    shared: Sequence[nn.Linear],
) -> Tensor:
    """As `mix_chosen`, with all routed experts in one grouped product."""
    num_rows, tokens, features = rows_MNF.shape
    out_MND = rows_MNF.new_zeros(num_rows, tokens, (*experts, *shared)[0].out_features)
    if experts:
        gathered = rows_MNF.index_select(0, routes.row_R).view(-1, features)
        weight_EDF = torch.stack([expert.weight for expert in experts])
        bias_ED = torch.stack([expert.bias for expert in experts])
        ends_E = (routes.ends_E * tokens).to(torch.int32)
        product = F.grouped_mm(gathered, weight_EDF.transpose(1, 2), offs=ends_E)
        before_RND = (
            product.view(len(routes.row_R), *out_MND.shape[1:]) + bias_ED[routes.expert_R][:, None]
        )
        mixed_RND = F.gelu(before_RND) * routes.weights_R[:, None, None].to(rows_MNF.dtype)
        out_MND = out_MND.index_add(0, routes.row_R, mixed_RND)
    if shared:
        weight = torch.cat([expert.weight for expert in shared])
        bias = torch.cat([expert.bias for expert in shared])
        together = F.gelu(F.linear(rows_MNF, weight, bias))
        out_MND = out_MND + together.view(num_rows, tokens, len(shared), out_MND.shape[2]).mean(2)
    return out_MND


@dataclass(frozen=True)
class _Run:
    """One expert and the rows that pass it.

    Attributes:
        expert: its number; shared ones follow the routed.
        rows: their numbers; None if all rows pass it.
        scale: their weights (rows, 1, 1), or one for all.
        first: number of its first route; shared experts have none.
    """

    expert: int
    rows: Tensor | None
    scale: Tensor | float
    first: int = 0

    def gathered(self, all_MNF: Tensor) -> Tensor:
        """Its rows, copied only if they are some."""
        return all_MNF if self.rows is None else all_MNF.index_select(0, self.rows)

    def add(self, all_MNF: Tensor, own: Tensor) -> None:
        """Add to all rows what is its own."""
        if self.rows is None:
            all_MNF.add_(own)
        else:
            all_MNF.index_add_(0, self.rows, own)


class _Mix(torch.autograd.Function):
    """`mix_chosen` by hand; parameters are the weights of all experts, then their biases."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_MNF: Tensor,
        weights_R: Tensor,
        routes: ExpertRoutes,
        num_shared: int,
        *parameters: Tensor,
    ) -> Tensor:
        half = len(parameters) // 2
        weights, biases = parameters[:half], parameters[half:]
        runs = _runs(routes, weights_R.to(rows_MNF.dtype), num_shared)
        num_rows, tokens, _ = rows_MNF.shape
        out_MND = rows_MNF.new_zeros(num_rows, tokens, len(biases[0]))
        kept = []
        for run in runs:
            rows = run.gathered(rows_MNF).flatten(0, 1)
            before = torch.addmm(biases[run.expert], rows, weights[run.expert].t())
            run.add(out_MND, F.gelu(before).view(-1, *out_MND.shape[1:]).mul_(run.scale))
            kept.append(before)
        ctx.runs, ctx.of_weights = runs, (weights_R.shape, weights_R.dtype)
        ctx.save_for_backward(rows_MNF, *weights, *kept)
        return out_MND

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient_MND: Tensor) -> tuple[Tensor | None, ...]:
        rows_MNF, *saved = ctx.saved_tensors
        half = len(saved) - len(ctx.runs)
        weights, kept = saved[:half], saved[half:]
        is_wanted = ctx.needs_input_grad[4:]
        rows_gradient = torch.zeros_like(rows_MNF)
        shape, dtype = ctx.of_weights
        routes_gradient = rows_MNF.new_zeros(shape, dtype=torch.float32)
        gradients: list[Tensor | None] = [None] * (2 * half)
        for run, before in zip(ctx.runs, kept, strict=True):
            arriving = run.gathered(gradient_MND)
            before = before.view_as(arriving)
            if run.rows is not None:
                of_route = (arriving * F.gelu(before)).sum((1, 2), dtype=torch.float32)
                routes_gradient[run.first : run.first + len(of_route)] = of_route
            delta = _gelu_backward(arriving, before).mul_(run.scale).flatten(0, 1)
            if is_wanted[run.expert]:
                gradients[run.expert] = delta.t() @ run.gathered(rows_MNF).flatten(0, 1)
            if is_wanted[half + run.expert]:
                gradients[half + run.expert] = delta.sum(0)
            run.add(rows_gradient, (delta @ weights[run.expert]).view(-1, *rows_MNF.shape[1:]))
        for expert, weight in enumerate(weights):
            if is_wanted[expert] and gradients[expert] is None:
                gradients[expert] = torch.zeros_like(weight)
            if is_wanted[half + expert] and gradients[half + expert] is None:
                gradients[half + expert] = weight.new_zeros(len(weight))
        return rows_gradient, routes_gradient.to(dtype), None, None, *gradients


def _runs(routes: ExpertRoutes, weights_R: Tensor, num_shared: int) -> list[_Run]:
    """Shared experts, and the routed ones that some row chose."""
    count = routes.num_experts
    runs = [_Run(count + number, None, 1 / num_shared) for number in range(num_shared)]
    scale_R = weights_R[:, None, None]
    for expert, (start, end) in enumerate(itertools.pairwise([0, *routes.ends_E.tolist()])):
        if end > start:
            runs.append(_Run(expert, routes.row_R[start:end], scale_R[start:end], start))
    return runs
