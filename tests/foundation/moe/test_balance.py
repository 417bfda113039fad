"""Closed forms of the balance losses."""

import pytest
import torch

from foundation.moe.balance import (
    balance_loss,
    importance,
    importance_cv2,
    importance_of,
    importance_variance,
)
from foundation.moe.router import Routing, of_blocks


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_cv2_of_one_busy_expert_is_e_minus_one_whatever_the_batch(batch):
    weights_BE = torch.zeros(batch, 5)
    weights_BE[:, 2] = 1.0
    torch.testing.assert_close(importance_cv2(importance(weights_BE)), torch.tensor(4.0))


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_variance_of_one_busy_expert_grows_as_the_batch_squared(batch):
    weights_BE = torch.zeros(batch, 5)
    weights_BE[:, 2] = 1.0
    expected = torch.tensor(batch**2 * 4 / 25)
    torch.testing.assert_close(importance_variance(importance(weights_BE)), expected)


@pytest.mark.parametrize("kind", ["cv2", "reference"])
def test_equal_loads_cost_nothing_and_its_gradient_pushes_towards_them(kind):
    assert balance_loss(torch.full((4,), 3.0), kind) == 0
    load = torch.tensor([3.0, 1.0, 1.0, 1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(balance_loss(load, kind), load)
    assert gradient[0] > 0
    assert (gradient[1:] < 0).all()


@pytest.mark.parametrize("kind", ["cv2", "reference", "switch"])
def test_blocks_together_have_the_losses_of_each(kind, generator):
    logits = torch.randn(3, 6, 4, generator=generator)
    values, experts = logits.topk(2)
    each = [
        Routing(*of_block) for of_block in zip(logits, experts, values.softmax(-1), strict=True)
    ]
    together = balance_loss(importance_of(of_blocks(each), kind), kind)
    alone = torch.stack([balance_loss(importance_of(block, kind), kind) for block in each])
    torch.testing.assert_close(together, alone)


def test_switch_loss_is_one_if_even_and_the_number_of_experts_if_one_takes_all():
    even = Routing(torch.zeros(4, 4), torch.arange(4)[:, None], torch.full((4, 1), 0.25))
    assert balance_loss(importance_of(even, "switch"), "switch") == 1
    one = Routing(40 * torch.eye(4)[[2] * 6], torch.full((6, 1), 2), torch.ones(6, 1))
    assert balance_loss(importance_of(one, "switch"), "switch") == pytest.approx(4)


def test_switch_loss_lowers_the_probability_of_what_is_chosen_most():
    logits = torch.zeros(6, 3, requires_grad=True)
    routing = Routing(logits, torch.tensor([[0], [0], [0], [0], [1], [2]]), torch.ones(6, 1))
    loss = balance_loss(importance_of(routing, "switch"), "switch")
    # By hand: 3 sum_e f_e P_e with f = (2/3, 1/6, 1/6) and P = 1/3 each.
    assert loss.item() == pytest.approx(1)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[:, 0] > 0).all()
    assert (gradient[:, 1:] < 0).all()
