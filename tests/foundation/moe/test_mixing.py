"""Sparse mixtures, by hand and in one grouped product, against the form that computes all."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from foundation.moe.experts import Experts
from foundation.moe.mixing import ExpertRoutes, Maps, mix_chosen, mix_grouped

EXPERTS, SHARED, TOKENS, FEATURES, WIDTH = 6, 2, 4, 16, 8

Form = Callable[..., Tensor]


def linear_maps(
    count: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Experts | None:
    """So many, none as None."""
    maps = Experts(count, FEATURES, WIDTH).to(dtype)
    for parameter in maps.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return maps if count else None


def maps_of(experts: Experts | None) -> Maps | None:
    return None if experts is None else experts.maps


def outputs(rows: Tensor, experts: Experts) -> list[Tensor]:
    """Of every expert on every row."""
    each = zip(experts.weight, experts.bias, strict=True)
    return [F.gelu(F.linear(rows, weight, bias)) for weight, bias in each]


def choice_of(rows: int, top_k: int, generator: torch.Generator) -> Tensor:
    """Weights (M, E) with a gradient, zero where not chosen."""
    weights = torch.rand(rows, EXPERTS, generator=generator) + 0.1
    kept = torch.zeros_like(weights).scatter(1, weights.topk(top_k).indices, 1.0)
    return (weights * kept).requires_grad_()


def dense(rows: Tensor, weights: Tensor, experts, shared=None) -> Tensor:
    """Every expert on every row, times a weight that is zero where not chosen."""
    every = torch.stack(outputs(rows, experts), dim=1)
    out = (every * (weights * (weights > 0))[:, :, None, None].to(rows.dtype)).sum(1)
    return out + torch.stack(outputs(rows, shared)).mean(0) if shared else out


def grouped(rows: Tensor, weights: Tensor, experts, shared=None) -> Tensor:
    routes = ExpertRoutes.of_weights(weights)
    return mix_grouped(rows, routes, maps_of(experts), maps_of(shared))


def sparse(rows: Tensor, weights: Tensor, experts, shared=None) -> Tensor:
    routes = ExpertRoutes.of_weights(weights)
    return mix_chosen(rows, routes, maps_of(experts), maps_of(shared))


def parameters_of(*some: Experts | None) -> list[Tensor]:
    return [parameter for experts in some if experts for parameter in experts.parameters()]


def outputs_and_gradients(form: Form, rows, weights, experts, shared) -> list[Tensor]:
    out = form(rows, weights, experts, shared)
    leaves = [rows, weights, *parameters_of(experts, shared)]
    # A direction that is no function of the output: signs do not cancel in sums over rows.
    direction = torch.linspace(-1, 2, out.numel()).view_as(out).to(out.dtype)
    return [out, *torch.autograd.grad((out * direction).sum(), leaves)]


@pytest.mark.parametrize("shared", [0, 1, SHARED])
@pytest.mark.parametrize(("rows", "top_k"), [(1, 1), (3, 2), (16, 4), (5, 6), (0, 2)])
def test_sparse_equals_dense_in_outputs_and_gradients(rows, top_k, shared, generator):
    experts, always = linear_maps(EXPERTS, generator), linear_maps(shared, generator)
    features = torch.randn(rows, TOKENS, FEATURES, generator=generator, requires_grad=True)
    weights = choice_of(rows, top_k, generator)
    values = (features, weights, experts, always)
    chosen, full = (outputs_and_gradients(form, *values) for form in (sparse, dense))
    for ours, expected in zip(chosen, full, strict=True):
        # the same products in another order of summation, float32
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_derivatives_are_those_of_differences(generator):
    """In float64, where differences are exact to 1e-6; every input at once."""
    experts = linear_maps(EXPERTS, generator, dtype=torch.float64)
    shared = linear_maps(SHARED, generator, dtype=torch.float64)
    rows = torch.randn(3, 2, FEATURES, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = choice_of(3, 2, generator)

    row_R, expert_R = weights.nonzero(as_tuple=True)  # others have no derivative: they switch

    def of(rows: Tensor, weights_R: Tensor, *_parameters: Tensor) -> Tensor:
        placed = torch.zeros(weights.shape, dtype=torch.float64)
        placed = placed.index_put((row_R, expert_R), weights_R)
        return sparse(rows, placed, experts, shared)

    parameters = parameters_of(experts, shared)
    chosen_R = weights[row_R, expert_R].detach().double().requires_grad_()
    assert torch.autograd.gradcheck(of, (rows, chosen_R, *parameters))


def test_routes_of_choices_are_those_of_their_weights(generator):
    """Sorted the same way, gradients of the weights included; ties and one expert per row too."""
    for top_k in (1, 3, EXPERTS):
        values = torch.rand(5, top_k, generator=generator).add(0.1).requires_grad_()
        experts = torch.rand(5, EXPERTS, generator=generator).topk(top_k).indices
        spread = torch.zeros(5, EXPERTS).scatter(1, experts, values)
        ours, other = (
            ExpertRoutes.of_choices(experts, values, EXPERTS),
            ExpertRoutes.of_weights(spread),
        )
        for name in ("row_R", "expert_R", "weights_R", "ends_E"):
            assert torch.equal(getattr(ours, name), getattr(other, name)), name
        direction = torch.arange(5.0 * top_k)
        one, two = (
            torch.autograd.grad((r.weights_R * direction).sum(), values)[0] for r in (ours, other)
        )
        assert torch.equal(one, two)
        assert torch.equal(ours.ends_E, torch.bincount(ours.expert_R, minlength=EXPERTS).cumsum(0))


@pytest.mark.parametrize("shared", [0, SHARED])
def test_one_grouped_product_is_the_same(shared, generator):
    """In bfloat16, for which it is there; both round a sum of 16 products once."""
    experts, always = (linear_maps(n, generator, torch.bfloat16) for n in (EXPERTS, shared))
    rows = torch.randn(8, TOKENS, FEATURES, generator=generator).bfloat16().requires_grad_()
    weights = choice_of(8, 3, generator)
    values = (rows, weights, experts, always)
    ours, other = (outputs_and_gradients(form, *values) for form in (grouped, sparse))
    for one, two in zip(ours, other, strict=True):
        scale = two.float().abs().max()
        # a few roundings of 2^-9 on either way, of numbers as large as the largest
        assert (one.float() - two.float()).abs().max() <= 2**-6 * scale


def test_sums_by_place_are_those_by_addition(generator):
    """Outputs and all gradients: of routes that are as many in every row, nothing is added up."""
    experts, shared = (linear_maps(n, generator, torch.bfloat16) for n in (EXPERTS, SHARED))
    rows = torch.randn(8, TOKENS, FEATURES, generator=generator).bfloat16().requires_grad_()
    chosen = torch.rand(8, EXPERTS, generator=generator).topk(3).indices
    values = torch.rand(8, 3, generator=generator).add(0.1).requires_grad_()
    found = []
    for place in (True, False):
        routes = ExpertRoutes.of_choices(chosen, values, EXPERTS)
        if not place:
            routes = replace(routes, place_MK=None)
        out = mix_grouped(rows, routes, experts.maps, shared.maps)
        direction = torch.linspace(-1, 2, out.numel()).view_as(out).to(out.dtype)
        leaves = [rows, values, *parameters_of(experts, shared)]
        found.append([out, *torch.autograd.grad((out * direction).sum(), leaves)])
    for one, two in zip(*found, strict=True):
        # a few roundings of 2^-9, of numbers as large as the largest
        assert (one.float() - two.float()).abs().max() <= 2**-6 * two.float().abs().max()


class _Spoilt(torch.autograd.Function):
    """What Blackwell's grouped product leaves in the gradient of weights that no row passes."""

    @staticmethod
    def forward(ctx, weight, ends):
        ctx.save_for_backward(ends)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx, gradient):
        (ends,) = ctx.saved_tensors
        empty = torch.diff(ends, prepend=ends.new_zeros(1)) == 0
        return gradient.masked_fill(empty[:, None, None], torch.nan), None


def test_experts_without_rows_learn_nothing_where_memory_is_left_unwritten(generator, monkeypatch):
    experts = linear_maps(EXPERTS, generator, torch.bfloat16)
    rows = torch.randn(2, TOKENS, FEATURES, generator=generator).bfloat16()
    routes = ExpertRoutes.of_choices(torch.tensor([[1, 4], [1, 2]]), torch.ones(2, 2), EXPERTS)
    real = F.grouped_mm
    monkeypatch.setattr(
        F, "grouped_mm", lambda a, b, offs: real(a, _Spoilt.apply(b, offs), offs=offs)
    )
    learnt = {}
    for filled in (True, False):
        monkeypatch.setattr("foundation.moe.mixing.fills_empty_groups", lambda _, f=filled: f)
        out = mix_grouped(rows, routes, experts.maps)
        (gradient,) = torch.autograd.grad(out.float().sum(), experts.weight)
        learnt[filled] = gradient.flatten(1).abs().sum(1)
    assert learnt[True].isnan().tolist() == [True, False, False, True, False, True]
    assert (learnt[False] > 0).tolist() == [False, True, True, False, True, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forecasts_of_a_gpu_copy_weights_and_wait_for_nothing(dtype, generator, monkeypatch):
    """One batched product, where a row is long enough to be worth it."""
    monkeypatch.setattr("foundation.moe.mixing.in_launches", lambda _: True)
    experts, shared = (linear_maps(n, generator, dtype) for n in (EXPERTS, SHARED))
    rows = torch.randn(3, 32, FEATURES, generator=generator, dtype=dtype)
    weights = choice_of(3, 2, generator).detach()
    with torch.no_grad(), Products() as products:
        ours = sparse(rows, weights, experts, shared)
    torch.testing.assert_close(ours, dense(rows, weights, experts, shared).detach())
    assert products.seen["bmm"] == 1
    with torch.no_grad(), Products() as products:
        sparse(rows[:, :31], weights, experts, shared)
    assert products.seen["bmm"] == 0


@pytest.mark.parametrize("rows", [0, 3])
def test_shared_experts_alone_are_a_grouped_mixture_too(rows, generator):
    """As they are computed while samples travel."""
    shared = linear_maps(SHARED, generator)
    features = torch.randn(rows, TOKENS, FEATURES, generator=generator)
    nobody = features.new_zeros(rows, 0)
    ours = grouped(features, nobody, None, shared)
    torch.testing.assert_close(ours, sparse(features, nobody, None, shared))


def test_bfloat16_is_float32_but_for_its_rounding(generator):
    """Error of every output and gradient within some roundings, and no bias in the mean."""
    experts, shared = linear_maps(EXPERTS, generator), linear_maps(SHARED, generator)
    rows = torch.randn(16, TOKENS, FEATURES, generator=generator).bfloat16().float()
    weights = choice_of(16, 4, generator)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        maps = [Experts(len(m), FEATURES, WIDTH).to(dtype) for m in (experts, shared)]
        for old, new in zip((experts, shared), maps, strict=True):
            new.load_state_dict({k: v.bfloat16().to(dtype) for k, v in old.state_dict().items()})
        values = (rows.to(dtype).requires_grad_(), weights, *maps)
        results.append(outputs_and_gradients(sparse, *values))
    for exact, rounded in zip(*results, strict=True):
        error = rounded.float() - exact
        assert error.norm() <= 2**-6 * exact.norm()


def test_what_nobody_chose_gets_a_gradient_of_zero_and_not_none(generator):
    experts = linear_maps(EXPERTS, generator)
    rows = torch.randn(2, TOKENS, FEATURES, generator=generator)
    weights = torch.zeros(2, EXPERTS)
    weights[:, 1] = 1.0
    sparse(rows, weights, experts).sum().backward()
    for parameter in experts.parameters():
        used = parameter.grad.flatten(1).abs().amax(1) > 0
        assert used.tolist() == [False, True, False, False, False, False]


def test_frozen_experts_get_none_and_pass_gradients_on(generator):
    experts = linear_maps(EXPERTS, generator)
    experts.requires_grad_(False)
    rows = torch.randn(3, TOKENS, FEATURES, generator=generator, requires_grad=True)
    weights = choice_of(3, 2, generator)
    sparse(rows, weights, experts).sum().backward()
    assert all(parameter.grad is None for parameter in experts.parameters())
    assert rows.grad.abs().max() > 0


def test_an_expert_that_nobody_chose_is_not_computed(generator):
    """A poisoned one does no harm."""
    experts = linear_maps(EXPERTS, generator)
    nn.init.constant_(experts.weight[3], torch.nan)
    weights = choice_of(8, 3, generator)
    with torch.no_grad():
        weights[:, 3] = 0.0
    rows = torch.randn(8, TOKENS, FEATURES, generator=generator)
    assert torch.isfinite(sparse(rows, weights, experts)).all()


def test_permuting_rows_permutes_outputs(generator):
    experts, shared = linear_maps(EXPERTS, generator), linear_maps(SHARED, generator)
    rows = torch.randn(9, TOKENS, FEATURES, generator=generator)
    weights = choice_of(9, 3, generator)
    order = torch.randperm(9, generator=generator)
    out = sparse(rows, weights, experts, shared)
    permuted = sparse(rows[order], weights[order], experts, shared)
    torch.testing.assert_close(permuted, out[order])


def test_relabelling_experts_changes_nothing(generator):
    experts = linear_maps(EXPERTS, generator)
    rows = torch.randn(5, TOKENS, FEATURES, generator=generator)
    weights = choice_of(5, 3, generator)
    order = torch.randperm(EXPERTS, generator=generator)
    relabelled = Experts(EXPERTS, FEATURES, WIDTH)
    relabelled.load_state_dict(
        {
            f"{n}.{k}": getattr(experts, k)[e]
            for n, e in enumerate(order)
            for k in ("weight", "bias")
        }
    )
    torch.testing.assert_close(
        sparse(rows, weights[:, order], relabelled),
        sparse(rows, weights, experts),
    )


def test_a_bias_learns_beside_a_frozen_weight(generator):
    experts = linear_maps(2, generator)
    experts.weight.requires_grad_(False)
    weights = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    sparse(torch.randn(2, TOKENS, FEATURES, generator=generator), weights, experts).sum().backward()
    assert experts.bias.grad[0].abs().max() > 0
    assert experts.bias.grad[1].abs().max() == 0
    assert experts.weight.grad is None


class Products(TorchDispatchMode):
    """Counts matrix products by name."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def counted(num_experts: int, generator: torch.Generator) -> tuple[int, Counter[str]]:
    """FLOPs and products of a step of 8 rows that choose 4 experts."""
    experts = linear_maps(num_experts, generator)
    shared = linear_maps(SHARED, generator)
    rows = torch.randn(8, TOKENS, FEATURES, generator=generator, requires_grad=True)
    weights = torch.zeros(8, num_experts)
    for row in range(8):
        weights[row, [(4 * row + k) % num_experts for k in range(4)]] = 0.25
    with FlopCounterMode(display=False) as flops, Products() as products:
        sparse(rows, weights, experts, shared).sum().backward()
    return flops.get_total_flops(), products.seen


@pytest.mark.parametrize("num_experts", [8, 16, 64])
def test_work_is_that_of_the_chosen_whatever_the_number_of_experts(num_experts, generator):
    flops, products = counted(num_experts, generator)
    computed = 8 * (4 + SHARED)
    assert flops == 3 * 2 * computed * TOKENS * FEATURES * WIDTH
    used = min(num_experts, 8 * 4)
    assert products["addmm"] == used + SHARED
    assert products["mm"] == 2 * (used + SHARED)


@pytest.mark.parametrize("num_experts", [8, 64])
def test_what_is_kept_is_what_goes_into_gelu_whatever_the_number_of_experts(num_experts, generator):
    experts, shared = linear_maps(num_experts, generator), linear_maps(SHARED, generator)
    rows = torch.randn(8, TOKENS, FEATURES, generator=generator, requires_grad=True)
    weights = torch.zeros(8, num_experts)
    weights[:, :4] = 0.25
    parameters = {p.data_ptr() for p in parameters_of(experts, shared)}
    kept = []

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters | {rows.data_ptr()}:
            kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = sparse(rows, weights, experts, shared)
    assert out.requires_grad
    assert sum(kept) == 8 * (4 + SHARED) * TOKENS * WIDTH
