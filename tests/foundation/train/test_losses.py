"""Losses by hand, and which points they see."""

from dataclasses import replace

import pytest
import torch

from data_shards.stream.batch import Batch
from foundation.models.types import Prediction
from foundation.moe.router import Routing
from foundation.train.losses import LossConfig, losses_of, next_frame_error


def batch() -> Batch:
    target = torch.tensor([3.0, 4.0]).view(1, 1, 1, 1, 2).repeat(1, 1, 2, 1, 1)
    asked_mask = torch.tensor([[1.0, 0.0]])
    valid = torch.tensor([[[[1.0, 0.0]]]])
    ids = torch.zeros(1, dtype=torch.int64)
    return Batch(target, target, asked_mask, valid, ids, ("",))


def test_valid_mask_scores_real_channels_and_fluid_cells_only():
    fields = batch().asked.clone()
    fields[..., 1] += 100.0  # a solid cell
    fields[:, :, 1] += 100.0  # a padded channel
    assert next_frame_error(fields, batch(), "valid", "field") == 0
    fields[0, 0, 0, 0, 0] = 4.5
    torch.testing.assert_close(
        next_frame_error(fields, batch(), "valid", "field"), torch.tensor([0.5])
    )


def test_reference_mask_scores_everything():
    fields = batch().asked.clone()
    fields[0, 0, 0] = torch.tensor([0.0, 0.0])
    # one channel wrong by all of it, the padded one right
    torch.testing.assert_close(
        next_frame_error(fields, batch(), "reference", "field"), torch.tensor([0.5])
    )


def test_error_relative_to_the_change_is_one_for_a_repeated_frame():
    moving = replace(batch(), given=batch().asked + torch.tensor([0.25, 0.0]))
    last = moving.given[:, -1:]
    # the floor of a thousandth of the field's size is below 1e-4 of this change
    error = next_frame_error(last, moving, "valid", "change")
    torch.testing.assert_close(error, torch.tensor([1.0]), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        next_frame_error(last, moving, "valid", "field"), torch.tensor([0.25 / 3])
    )


def test_where_nothing_changes_the_field_itself_sets_the_scale():
    off = batch().asked + 1e-3
    error = next_frame_error(off, batch(), "valid", "change")
    size = (3.0**2 + 4.0**2) ** 0.5 / 2**0.5
    torch.testing.assert_close(error, torch.tensor([1 / size]), rtol=1e-3, atol=0)


def test_reported_error_is_relative_to_the_field_whatever_is_minimised():
    prediction = Prediction(batch().asked * 1.5, (), torch.zeros(1, 6))
    losses = losses_of(prediction, batch(), LossConfig(relative_to="change"), lambda x: x)
    torch.testing.assert_close(losses.per_sample, torch.tensor([0.5]))
    assert losses.total > 100


def routing(weights: torch.Tensor) -> Routing:
    values, experts = weights.topk(1)
    return Routing(weights, experts, values)


@pytest.mark.parametrize(("kind", "value"), [("cv2", 2 * 3.0), ("reference", 2 * 3 / 16)])
def test_balance_adds_up_over_blocks_with_its_weight(kind, value):
    one_busy = routing(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    prediction = Prediction(batch().asked, (one_busy, one_busy), torch.zeros(1, 6))
    config = LossConfig(balance=kind, balance_weight=0.1)
    losses = losses_of(prediction, batch(), config, lambda x: x)
    torch.testing.assert_close(losses.balance, torch.tensor(value))
    torch.testing.assert_close(losses.total, torch.tensor(0.1 * value))


def test_class_loss_of_a_silent_head_is_the_log_of_the_classes():
    prediction = Prediction(batch().asked, (), torch.zeros(1, 6))
    losses = losses_of(prediction, batch(), LossConfig(class_weight=1.0), lambda x: x)
    torch.testing.assert_close(losses.total, torch.tensor(6.0).log())


def test_gradient_is_finite_where_prediction_and_truth_agree():
    fields = batch().asked.clone().requires_grad_()
    next_frame_error(fields, batch(), "valid", "field").sum().backward()
    assert torch.isfinite(fields.grad).all()
