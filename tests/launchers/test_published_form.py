"""The published formulation is the same network: outputs, routes and gradients."""

import pytest
import torch
from architectures import random_batch

from foundation.models.dpot import DPOTConfig
from foundation.models.moe_pot import MoEPOTConfig
from foundation.models.registry import build_model
from launchers.benchmarks.published_form import PublishedForm

SIZES = {"resolution": 16, "patch": 4, "width": 16, "blocks": 2, "heads": 2, "head_width": 8}
CONFIGS = {
    "as published": MoEPOTConfig(**SIZES, router={"num_experts": 6, "top_k": 2}),
    "wider features": MoEPOTConfig(**SIZES, mlp_ratio=2, num_shared=1),
    "few modes": MoEPOTConfig(**SIZES, modes=2),
    "normalised increments": MoEPOTConfig(**SIZES, instance_norm=True, target="increment"),
    "no phases": MoEPOTConfig(**SIZES, time_aggregation="mlp"),
    "dense": DPOTConfig(**SIZES),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_outputs_and_gradients_are_those_of_our_form(name, generator):
    model = build_model(CONFIGS[name], seed=1)
    batch = random_batch(generator, 3)
    results = []
    for form in (model, PublishedForm(model)):
        prediction = form(batch)
        loss = prediction.fields.square().mean() + prediction.class_logits.square().mean()
        results.append((prediction, torch.autograd.grad(loss, list(model.parameters()))))
    (ours, our_gradients), (theirs, their_gradients) = results
    # float32 in another order of summation
    torch.testing.assert_close(ours.fields, theirs.fields, rtol=1e-5, atol=1e-5)
    for one, two in zip(ours.routing, theirs.routing, strict=True):
        assert torch.equal(one.experts_BK, two.experts_BK)
    for one, two in zip(our_gradients, their_gradients, strict=True):
        scale = max(float(two.abs().max()), 1e-6)
        torch.testing.assert_close(one / scale, two / scale, rtol=1e-4, atol=1e-4)
