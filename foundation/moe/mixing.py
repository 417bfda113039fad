"""Chosen and shared experts on rows of features: one weighted sum out, chosen ones computed alone.

Axes: M rows (a row is a sample's whole map, or one token), N tokens of a row, F features,
D width, E routed experts, S shared ones, R routes: a row that goes to an expert is one.
An expert is a linear map and GELU. Routes are sorted by expert, so that each expert makes
one matrix product of all its rows; those that every row passes need no gathering at all.
The backward pass is written by hand: it keeps what goes into GELU and nothing else, and
weighs and sums while a row is at hand, where plain operations make a pass over memory each.
A GPU has all experts in one launch, a grouped product in bfloat16 and a batched one in float32,
and plain operations around it, in an order of summation that is always the same.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from foundation.nn.device import fills_empty_groups, in_launches
from foundation.nn.outside_graphs import outside_graphs

# Of a batched product: multiply-adds per copied weight, and bytes of all of them.
_LEAST_TOKENS, _MOST_COPIED = 32, 1 << 30
_gelu_backward = torch.ops.aten.gelu_backward


class Maps(NamedTuple):
    """Linear maps of one form: weights (E, D, F) and biases (E, D)."""

    weight_EDF: Tensor
    bias_ED: Tensor


@dataclass(frozen=True)
class ExpertRoutes:
    """Which row goes to which expert and with what weight, sorted by expert.

    Attributes:
        row_R: row of each route, int64, ascending within an expert.
        expert_R: expert of each route, int64.
        weights_R: weight of each route, of the gate's type.
        num_experts: E.
        place_MK: number of each row's routes, where every row has as many; else None.
    """

    row_R: Tensor
    expert_R: Tensor
    weights_R: Tensor
    num_experts: int
    place_MK: Tensor | None = None

    @classmethod
    def of_choices(cls, experts_MK: Tensor, weights_MK: Tensor, num_experts: int) -> Self:
        """K routes of every row. Nothing has to be known on the host: no GPU is waited for."""
        expert_R, order_R = experts_MK.flatten().sort(stable=True)
        numbers_R = torch.arange(len(order_R), device=order_R.device)
        return cls(
            row_R=order_R // experts_MK.shape[1],
            expert_R=expert_R,
            weights_R=weights_MK.flatten().index_select(0, order_R),
            num_experts=num_experts,
            place_MK=torch.empty_like(order_R).scatter(0, order_R, numbers_R).view_as(experts_MK),
        )

    @classmethod
    def of_weights(cls, weights_ME: Tensor) -> Self:
        """Routes of rows to the experts whose weight is not zero, as many as there are."""
        expert_R, row_R = weights_ME.t().nonzero(as_tuple=True)
        return cls(row_R, expert_R, weights_ME[row_R, expert_R], weights_ME.shape[1])

    @property
    def ends_E(self) -> Tensor:
        """End of each expert's routes, int64."""
        return torch.searchsorted(self.expert_R, self._numbers_E, right=True)

    @property
    def is_of_RE(self) -> Tensor:
        """True at the expert of each route."""
        return self.expert_R[:, None] == self._numbers_E

    @property
    def _numbers_E(self) -> Tensor:
        return torch.arange(self.num_experts, device=self.expert_R.device)

    def gathered(self, rows_MNF: Tensor) -> Tensor:
        """The row of each route (R, N, F)."""
        if self.place_MK is None:
            return rows_MNF.index_select(0, self.row_R)
        routes: Tensor = _Gather.apply(  # type: ignore[no-untyped-call]
            rows_MNF, self.row_R, self.place_MK
        )
        return routes

    def added(self, mixed_RND: Tensor, to_MND: Tensor) -> Tensor:
        """Rows with what their routes give, in an order of summation that is always the same."""
        if self.place_MK is None:
            return to_MND.index_add(0, self.row_R, mixed_RND)
        sums_MND: Tensor = _Sum.apply(  # type: ignore[no-untyped-call]
            mixed_RND, self.row_R, self.place_MK
        )
        return to_MND + sums_MND


def mix_chosen(
    rows_MNF: Tensor, routes: ExpertRoutes, experts: Maps | None, shared: Maps | None = None
) -> Tensor:
    """Weighted sum of each row's chosen experts and mean of the shared ones.

    An expert that no row chose gets a gradient of zero, not none: ranks would otherwise
    disagree on what to reduce.

    Args:
        rows_MNF: features (M, N, F).
        routes: of the rows to the routed experts; the gradient of their weights reaches the gate.
        experts: the E routed ones; None if there are none, and no routes.
        shared: the S that every row passes.

    Returns:
        (M, N, D), of the rows' type.
    """
    if _in_one(rows_MNF, routes, experts):
        return mix_grouped(rows_MNF, routes, experts, shared)
    mixed: Tensor = _mix_by_hand(rows_MNF, routes, experts, shared)
    return mixed


# A graph would hold for as many chosen experts as there were when it was made.
@outside_graphs
def _mix_by_hand(
    rows_MNF: Tensor, routes: ExpertRoutes, experts: Maps | None, shared: Maps | None
) -> Tensor:
    parameters = (*(experts or (None, None)), *(shared or (None, None)))
    mixed: Tensor = _Mix.apply(  # type: ignore[no-untyped-call]
        rows_MNF, routes.weights_R, routes, *parameters
    )
    return mixed


def mix_grouped(
    rows_MNF: Tensor, routes: ExpertRoutes, experts: Maps | None, shared: Maps | None = None
) -> Tensor:
    """As `mix_chosen`, with all routed experts in one grouped or batched product."""
    num_rows, tokens, features = rows_MNF.shape
    out_MND: Tensor | None = None
    if shared is not None:
        number, width = shared.bias_ED.shape
        together = F.linear(rows_MNF, shared.weight_EDF.flatten(0, 1), shared.bias_ED.flatten())
        out_MND = F.gelu(together).view(num_rows, tokens, number, width).mean(2)
    if experts is not None:
        is_of_RE = routes.is_of_RE
        weight_EDF = experts.weight_EDF
        if weight_EDF.requires_grad and not fills_empty_groups(rows_MNF):
            weight_EDF = _NothingOfEmpty.apply(  # type: ignore[no-untyped-call]
                weight_EDF, ~is_of_RE.any(0)
            )
        gathered_RNF = routes.gathered(rows_MNF)
        if rows_MNF.dtype == torch.bfloat16:
            ends_E = (routes.ends_E * tokens).to(torch.int32)
            flat = gathered_RNF.view(-1, features)
            product = F.grouped_mm(flat, weight_EDF.transpose(1, 2), offs=ends_E)
        else:
            weight_RDF = weight_EDF.index_select(0, routes.expert_R)
            product = torch.bmm(gathered_RNF, weight_RDF.transpose(1, 2))
        # Picks one of the biases, and adds up their gradients without atomic additions.
        bias_RD = is_of_RE.to(product.dtype) @ experts.bias_ED
        before_RND = product.view(len(bias_RD), tokens, -1) + bias_RD[:, None]
        mixed_RND = F.gelu(before_RND) * routes.weights_R[:, None, None].to(rows_MNF.dtype)
        if out_MND is None:
            out_MND = mixed_RND.new_zeros(num_rows, *mixed_RND.shape[1:])
        out_MND = routes.added(mixed_RND, out_MND)
    assert out_MND is not None, "there are experts"
    return out_MND


def _in_one(rows_MNF: Tensor, routes: ExpertRoutes, experts: Maps | None) -> bool:
    """Whether to launch one product for all experts, whose sizes stay on the device.

    A GPU and a compiled graph want that. Of another type than bfloat16, and on a CPU, grouped
    products are loops that wait for those sizes; batched ones are for forecasts alone, since of
    copied weights there would be as many gradients.
    """
    on_gpu = in_launches(rows_MNF)
    if rows_MNF.dtype == torch.bfloat16:
        return on_gpu or torch.compiler.is_compiling()
    few = experts is None or _can_be_copied(rows_MNF, routes, experts)
    return on_gpu and not torch.is_grad_enabled() and few


def _can_be_copied(rows_MNF: Tensor, routes: ExpertRoutes, experts: Maps) -> bool:
    """Whether weights route by route are little work beside their products, and fit."""
    copied = len(routes.row_R) * experts.weight_EDF[0].numel() * rows_MNF.element_size()
    return rows_MNF.shape[1] >= _LEAST_TOKENS and copied <= _MOST_COPIED


class _Gather(torch.autograd.Function):
    """Rows by route; back, sums over the routes of each row, without atomic additions.

    A GPU makes those in any order: no two runs would be the same. A sum over K numbers is rounded
    once, from float32.
    """

    @staticmethod
    def forward(ctx: Any, rows_MNF: Tensor, row_R: Tensor, place_MK: Tensor) -> Tensor:
        ctx.save_for_backward(row_R, place_MK)
        return rows_MNF.index_select(0, row_R)

    @staticmethod
    def backward(ctx: Any, gradient_RNF: Tensor) -> tuple[Tensor, None, None]:
        _, place_MK = ctx.saved_tensors
        return _summed(gradient_RNF, place_MK), None, None


class _Sum(torch.autograd.Function):
    """The other way round."""

    @staticmethod
    def forward(ctx: Any, routes_RND: Tensor, row_R: Tensor, place_MK: Tensor) -> Tensor:
        ctx.save_for_backward(row_R, place_MK)
        return _summed(routes_RND, place_MK)

    @staticmethod
    def backward(ctx: Any, gradient_MND: Tensor) -> tuple[Tensor, None, None]:
        row_R, _ = ctx.saved_tensors
        return gradient_MND.index_select(0, row_R), None, None


def _summed(routes_RND: Tensor, place_MK: Tensor) -> Tensor:
    by_row = routes_RND.index_select(0, place_MK.flatten())
    return by_row.view(*place_MK.shape, *routes_RND.shape[1:]).sum(1)


class _NothingOfEmpty(torch.autograd.Function):
    """Weights (E, ...) as they are; of groups without rows the gradient is zero."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, is_empty_E: Tensor) -> Tensor:
        ctx.save_for_backward(is_empty_E)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (is_empty_E,) = ctx.saved_tensors
        return gradient.masked_fill(is_empty_E[:, None, None], 0.0), None


@dataclass(frozen=True)
class _Run:
    """One expert and the rows that pass it.

    Attributes:
        expert: its number, among the routed or among the shared.
        rows: their numbers; None of a shared one, which all rows pass.
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
    """`mix_chosen` by hand; parameters are those of the routed experts, then of the shared ones."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_MNF: Tensor,
        weights_R: Tensor,
        routes: ExpertRoutes,
        *parameters: Tensor | None,
    ) -> Tensor:
        maps = _Parameters(parameters)
        runs = _runs(routes, weights_R.to(rows_MNF.dtype), maps.num_shared)
        num_rows, tokens, _ = rows_MNF.shape
        out_MND = rows_MNF.new_zeros(num_rows, tokens, maps.width)
        kept = []
        for run in runs:
            rows = run.gathered(rows_MNF).flatten(0, 1)
            weight, bias = maps.of(run)
            before = torch.addmm(bias, rows, weight.t())
            run.add(out_MND, F.gelu(before).view(-1, *out_MND.shape[1:]).mul_(run.scale))
            kept.append(before)
        ctx.runs, ctx.of_weights = runs, (weights_R.shape, weights_R.dtype)
        ctx.save_for_backward(rows_MNF, *parameters, *kept)
        return out_MND

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient_MND: Tensor) -> tuple[Tensor | None, ...]:
        rows_MNF, *saved = ctx.saved_tensors
        parameters, kept = saved[:4], saved[4:]
        maps = _Parameters(parameters)
        # Every expert's part is written, by its run or, of those without one, here.
        gradients = _Parameters(
            [
                torch.empty_like(parameter) if wanted else None
                for parameter, wanted in zip(parameters, ctx.needs_input_grad[3:], strict=True)
            ]
        )
        gradients.zero_all_but(ctx.runs)
        rows_gradient = torch.zeros_like(rows_MNF)
        shape, dtype = ctx.of_weights
        routes_gradient = rows_MNF.new_zeros(shape, dtype=torch.float32)
        for run, before in zip(ctx.runs, kept, strict=True):
            arriving = run.gathered(gradient_MND)
            before = before.view_as(arriving)
            if run.rows is not None:
                of_route = (arriving * F.gelu(before)).sum((1, 2), dtype=torch.float32)
                routes_gradient[run.first : run.first + len(of_route)] = of_route
            delta = _gelu_backward(arriving, before).mul_(run.scale).flatten(0, 1)
            of_weight, of_bias = gradients.of(run)
            if of_weight is not None:
                torch.mm(delta.t(), run.gathered(rows_MNF).flatten(0, 1), out=of_weight)
            if of_bias is not None:
                torch.sum(delta, 0, out=of_bias)
            run.add(rows_gradient, (delta @ maps.of(run)[0]).view(-1, *rows_MNF.shape[1:]))
        return rows_gradient, routes_gradient.to(dtype), None, *gradients.all


class _Parameters:
    """Weights and biases of routed experts, then of shared ones; None where there are none."""

    def __init__(self, parameters: Sequence[Any]) -> None:
        self.all = parameters

    @property
    def num_shared(self) -> int:
        return 0 if self.all[3] is None else len(self.all[3])

    @property
    def width(self) -> int:
        known = self.all[1] if self.all[1] is not None else self.all[3]
        return int(known.shape[1])

    def of(self, run: _Run) -> tuple[Any, Any]:
        """Weight (D, F) and bias (D,) of a run's expert."""
        weight, bias = self.all[2:] if run.rows is None else self.all[:2]
        return (
            None if weight is None else weight[run.expert],
            None if bias is None else bias[run.expert],
        )

    def zero_all_but(self, runs: Sequence[_Run]) -> None:
        """Fill with zeros what is of routed experts that have no run."""
        used = {run.expert for run in runs if run.rows is not None}
        for tensor in self.all[:2]:
            for expert in () if tensor is None else set(range(len(tensor))) - used:
                tensor[expert].zero_()


def _runs(routes: ExpertRoutes, weights_R: Tensor, num_shared: int) -> list[_Run]:
    """Shared experts, and the routed ones that some row chose."""
    runs = [_Run(number, None, 1 / num_shared) for number in range(num_shared)]
    scale_R = weights_R[:, None, None]
    for expert, (start, end) in enumerate(itertools.pairwise([0, *routes.ends_E.tolist()])):
        if end > start:
            runs.append(_Run(expert, routes.row_R[start:end], scale_R[start:end], start))
    return runs
