"""Sparse experts against the dense form that computes all of them."""

import pytest
import torch

from foundation.moe.experts import ExpertBank, mix_chosen
from foundation.moe.router import Routing

EXPERTS, FEATURES, WIDTH = 6, 5, 7


def routing_of(logits: torch.Tensor, top_k: int) -> Routing:
    values, experts = logits.topk(top_k)
    return Routing(logits, experts, values.softmax(-1))


def dense(bank: ExpertBank, rows: torch.Tensor, routing: Routing) -> torch.Tensor:
    """Every expert on every sample, times a weight that is zero where not chosen."""
    outputs = torch.stack([expert(rows) for expert in bank.experts.values()], dim=1)
    return (outputs * routing.weights_BE[:, :, None, None]).sum(1)


@pytest.fixture
def bank(generator: torch.Generator) -> ExpertBank:
    bank = ExpertBank(EXPERTS, FEATURES, WIDTH)
    for parameter in bank.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return bank


@pytest.mark.parametrize(("samples", "top_k"), [(1, 1), (3, 2), (16, 4), (5, 6)])
def test_sparse_equals_dense_in_outputs_and_gradients(bank, generator, samples, top_k):
    rows = torch.randn(samples, 4, FEATURES, generator=generator, requires_grad=True)
    logits = torch.randn(samples, EXPERTS, generator=generator, requires_grad=True)
    leaves = [rows, logits, *bank.parameters()]
    results = []
    for form in (bank, lambda r, route: dense(bank, r, route)):
        out = form(rows, routing_of(logits, top_k))
        gradients = torch.autograd.grad(out.square().sum(), leaves)
        results.append((out, *gradients))
    for sparse, full in zip(*results, strict=True):
        # the same products in another order of summation, float32
        torch.testing.assert_close(sparse, full, rtol=1e-4, atol=1e-4)


def test_only_chosen_experts_are_computed(bank, generator):
    """A poisoned expert that nobody chose does no harm."""
    torch.nn.init.constant_(bank.experts["3"].weight, torch.nan)
    logits = torch.randn(8, EXPERTS, generator=generator)
    logits[:, 3] = -100.0
    out = bank(torch.randn(8, 4, FEATURES, generator=generator), routing_of(logits, 4))
    assert torch.isfinite(out).all()


def test_permuting_samples_permutes_outputs(bank, generator):
    rows = torch.randn(9, 4, FEATURES, generator=generator)
    logits = torch.randn(9, EXPERTS, generator=generator)
    order = torch.randperm(9, generator=generator)
    out = bank(rows, routing_of(logits, 3))
    permuted = bank(rows[order], routing_of(logits[order], 3))
    torch.testing.assert_close(permuted, out[order])


def test_relabelling_experts_changes_nothing(bank, generator):
    rows = torch.randn(5, 4, FEATURES, generator=generator)
    logits = torch.randn(5, EXPERTS, generator=generator)
    order = torch.randperm(EXPERTS, generator=generator)
    relabelled = [bank.experts[str(int(e))] for e in order]
    routing, other = routing_of(logits, 3), routing_of(logits[:, order], 3)
    torch.testing.assert_close(
        mix_chosen(rows, other.weights_BE, other.chosen_BE, relabelled), bank(rows, routing)
    )


def test_an_unchosen_expert_gets_a_zero_gradient_not_none(bank, generator):
    logits = torch.zeros(2, EXPERTS)
    logits[:, 0] = 5.0
    bank(torch.randn(2, 4, FEATURES, generator=generator), routing_of(logits, 1)).sum().backward()
    assert bank.experts["0"].weight.grad.abs().max() > 0
    for unused in range(1, EXPERTS):
        assert bank.experts[str(unused)].weight.grad.abs().max() == 0
