"""The one sum that is minimised, and what is reported of it."""

import pytest
import torch
from architectures import half_masked_batch

from data_shards.errors import UserError
from data_shards.stream.batch import Batch
from foundation.models.types import Prediction
from foundation.moe.balance import importance
from foundation.moe.router import Routing
from foundation.train.losses import losses_of
from foundation.train.objectives import OBJECTIVES, LossConfig, Ramp

OF_FIELDS = [name for name in OBJECTIVES if name not in ("terms", "residual")]
TENSORS = ("given", "asked", "asked_mask", "valid_mask", "corpus_id")


def test_reported_error_is_relative_to_the_field_whatever_is_minimised():
    prediction = Prediction(half_masked_batch().asked * 1.5, (), torch.zeros(1, 6))
    losses = losses_of(
        prediction, half_masked_batch(), LossConfig(relative_to="change"), lambda x: x
    )
    torch.testing.assert_close(losses.per_sample, torch.tensor([0.5]))
    assert losses.total > 100


def routing(weights: torch.Tensor) -> Routing:
    values, experts = weights.topk(1)
    return Routing(weights, experts, values)


@pytest.mark.parametrize(("kind", "value"), [("cv2", 2 * 3.0), ("reference", 2 * 3 / 16)])
def test_balance_adds_up_over_blocks_with_its_weight(kind, value):
    one_busy = routing(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    prediction = Prediction(half_masked_batch().asked, (one_busy, one_busy), torch.zeros(1, 6))
    config = LossConfig(balance=kind, balance_weight=0.1)
    losses = losses_of(prediction, half_masked_batch(), config, lambda x: x)
    torch.testing.assert_close(losses.balance, torch.tensor(value))
    torch.testing.assert_close(losses.total, torch.tensor(0.1 * value))


def test_the_published_balance_is_a_ranks_own_beside_a_sum_over_its_samples():
    one_busy = routing(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    asked = half_masked_batch().asked
    prediction = Prediction(asked * 1.5, (one_busy,), torch.zeros(1, 6))
    config = LossConfig(balance="reference", balance_over="rank", scale=20)
    losses = losses_of(prediction, half_masked_batch(), config, not_asked)
    torch.testing.assert_close(losses.total, torch.tensor(20 * 0.5 + 0.1 * 3 / 16))
    torch.testing.assert_close(losses.per_sample, torch.tensor([0.5]))  # reported as ever


def not_asked(value: torch.Tensor) -> torch.Tensor:
    raise AssertionError("nothing is to be summed over ranks")


def test_class_loss_of_a_silent_head_is_the_log_of_the_classes():
    prediction = Prediction(half_masked_batch().asked, (), torch.zeros(1, 6))
    losses = losses_of(prediction, half_masked_batch(), LossConfig(class_weight=1.0), lambda x: x)
    torch.testing.assert_close(losses.total, torch.tensor(6.0).log())


def with_terms(fields: torch.Tensor, **terms: torch.Tensor) -> Prediction:
    return Prediction(fields, (), torch.zeros(len(fields), 6), terms)


def test_terms_add_their_means_by_ramps_and_unweighed_ones_add_nothing():
    terms = {"residual": torch.tensor([1.0, 5.0]), "energy": torch.tensor([2.0, 4.0])}
    prediction = with_terms(two_samples().asked, **terms, looked_at=torch.tensor([7.0, 7.0]))
    ramps = {"residual": Ramp(end=0.5), "energy": Ramp(start=0.0, end=2.0, first=0, last=10)}
    config = LossConfig(terms=ramps)
    totals = [
        float(losses_of(prediction, two_samples(), config, lambda x: x, step).total)
        for step in (0, 5, 10)
    ]
    assert totals == [0.5 * 3, 0.5 * 3 + 1 * 3, 0.5 * 3 + 2 * 3]
    losses = losses_of(prediction, two_samples(), config, lambda x: x)
    assert losses.per_sample.tolist() == [0.0, 0.0], "reported is the error of fields alone"
    assert {name: value.tolist() for name, value in losses.terms.items()} == {
        "residual": [1.0, 5.0],
        "energy": [2.0, 4.0],
        "looked_at": [7.0, 7.0],
    }


def test_a_term_that_the_network_does_not_give_is_refused_with_those_it_gives():
    config = LossConfig(terms={"residaul": Ramp(end=1.0)})
    given = with_terms(half_masked_batch().asked, residual=torch.zeros(1))
    with pytest.raises(UserError, match="weighs residaul, the network gives residual; change"):
        losses_of(given, half_masked_batch(), config, lambda x: x)
    with pytest.raises(UserError, match="gives no terms"):
        losses_of(with_terms(half_masked_batch().asked), half_masked_batch(), config, lambda x: x)


def test_reported_error_of_a_sum_of_squares_is_relative_and_its_total_the_mean_over_samples():
    asked = two_samples()
    fields = asked.asked * torch.tensor([1.5, 2.0]).view(2, 1, 1, 1, 1)
    config = LossConfig(objective="sum_of_squares")
    losses = losses_of(with_terms(fields), asked, config, lambda x: x)
    torch.testing.assert_close(losses.per_sample, torch.tensor([0.5, 1.0]))
    # the fluid cell of the real channel: errors 1.5 and 3
    torch.testing.assert_close(losses.total, torch.tensor((1.5**2 + 3.0**2) / 2))


def two_samples() -> Batch:
    one = half_masked_batch()
    tensors = (one.given, one.asked, one.asked_mask, one.valid_mask, one.corpus_id)
    return Batch(*(torch.cat([t, t]) for t in tensors), ("", ""))


def network(x: torch.Tensor, weight: torch.Tensor) -> Prediction:
    """A network of one weight per channel, with terms and a routed block."""
    fields = x * weight.view(-1, 1, 1)
    size = fields.flatten(1).square().mean(1)
    slope = weight.square().sum() * x[:, 0, 0, 0, 0]
    routed = routing(torch.softmax(fields.flatten(1)[:, :4], dim=1))
    return Prediction(fields, (routed,), torch.zeros(len(x), 6), {"size": size, "slope": slope})


RAMPS = {"size": Ramp(end=0.5), "slope": Ramp(start=1.0, end=2.0, last=10)}


def random_batch(generator: torch.Generator, count: int = 4) -> Batch:
    fields = torch.randn(count, 1, 2, 3, 3, generator=generator)
    valid = (torch.rand(count, 1, 3, 3, generator=generator) > 0.2).float()
    ids = torch.zeros(count, dtype=torch.int64)
    return Batch(fields, fields.flip(-1), torch.ones(count, 2), valid, ids, ("",) * count)


@pytest.mark.parametrize("objective", OF_FIELDS)
def test_gradient_of_the_sum_is_the_sum_of_the_gradients(objective, generator):
    asked, weight = random_batch(generator), torch.tensor([0.3, -0.7], requires_grad=True)

    def gradient(**options) -> torch.Tensor:
        config = LossConfig(objective=objective, **options)
        total = losses_of(network(asked.given, weight), asked, config, lambda x: x, step=5).total
        return torch.autograd.grad(total, weight)[0]

    alone = gradient(balance_weight=0.0)
    parts = [
        *(gradient(balance_weight=0.0, terms={name: ramp}) - alone for name, ramp in RAMPS.items()),
        gradient(balance_weight=0.3) - alone,
    ]
    assert all((part.abs() > 1e-3).any() for part in parts)
    whole = gradient(balance_weight=0.3, terms=RAMPS)
    # differences of float32 gradients of size 1 to 10
    torch.testing.assert_close(whole, alone + sum(parts), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", OF_FIELDS)
def test_the_mean_over_ranks_of_their_parts_is_the_loss_of_the_whole_batch(objective, generator):
    asked, weight = random_batch(generator), torch.tensor([0.3, -0.7], requires_grad=True)
    config = LossConfig(objective=objective, balance_weight=0.3, terms=RAMPS)
    whole_importance = importance(network(asked.given, weight).routing[0].weights_BE)

    def loss(rows: slice) -> torch.Tensor:
        own = Batch(*(getattr(asked, name)[rows] for name in TENSORS), asked.keys[rows])
        prediction = network(own.given, weight)
        return losses_of(prediction, own, config, lambda _: whole_importance[None], step=3).total

    serial = loss(slice(0, 4))
    parallel = (loss(slice(0, 2)) + loss(slice(2, 4))) / 2
    torch.testing.assert_close(parallel, serial)
    gradients = [torch.autograd.grad(t, weight, retain_graph=True)[0] for t in (parallel, serial)]
    assert (gradients[1].abs() > 0.01).all()
    torch.testing.assert_close(*gradients)


def test_terms_alone_report_themselves_and_need_no_fields():
    terms = {"latent": torch.tensor([1.0, 5.0]), "other": torch.tensor([2.0, 4.0])}
    prediction = with_terms(torch.empty(2, 0), **terms)
    ramps = {"latent": Ramp(end=1.0), "other": Ramp(end=0.5)}
    config = LossConfig(objective="terms", terms=ramps, balance_weight=0.0)
    losses = losses_of(prediction, two_samples(), config, lambda x: x)
    assert losses.per_sample.tolist() == [2.0, 7.0]
    assert float(losses.total) == 4.5
