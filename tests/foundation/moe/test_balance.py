"""Closed forms of the balance losses."""

import pytest
import torch

from foundation.moe.balance import balance_loss, importance, importance_cv2, importance_variance


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


def test_importance_must_be_a_vector():
    with pytest.raises(ValueError, match="wanted"):
        importance_cv2(torch.ones(2, 3))
