"""Tokens that choose for themselves, against samples that choose for all of theirs."""

import pytest
import torch

from foundation.moe.mixture import MixtureOfExperts
from foundation.moe.router import RouterConfig
from foundation.nn.initialise import initialise
from foundation.train.statistics import ExpertUsage

WIDTH, EXPERTS, CHOSEN = 8, 6, 2


def mixture_of(unit: str, seed: int = 0) -> MixtureOfExperts:
    config = RouterConfig(num_experts=EXPERTS, top_k=CHOSEN, unit=unit)
    mixture = MixtureOfExperts(WIDTH, WIDTH, 2, config)
    initialise(mixture, seed)
    gate = mixture.router.gate
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # a fresh gate tells tokens hardly apart
        gate.score.weight.normal_(std=3.0, generator=generator)
        gate.score.bias.sub_(gate(torch.rand(64, WIDTH, generator=generator)).mean(0))
    return mixture


def test_of_one_token_per_sample_both_are_one_function(generator):
    x = torch.randn(5, 1, WIDTH, generator=generator)
    results = []
    for unit in ("sample", "token"):
        mixture = mixture_of(unit)
        out, routing = mixture(x, 0.5)
        gradients = torch.autograd.grad(out.square().sum(), list(mixture.parameters()))
        results.append((out, routing.probabilities_BE, routing.weights_BE, *gradients))
    for by_sample, by_token in zip(*results, strict=True):
        torch.testing.assert_close(by_sample, by_token)


def test_a_token_is_mixed_whatever_stands_beside_it(generator):
    x = torch.randn(3, 7, WIDTH, generator=generator)
    mixture = mixture_of("token")
    whole, _ = mixture(x, 0.5)
    order = torch.randperm(7, generator=generator)
    torch.testing.assert_close(mixture(x[:, order], 0.5)[0], whole[:, order])
    torch.testing.assert_close(mixture(x[1:2, 3:5], 0.5)[0], whole[1:2, 3:5])


@pytest.mark.parametrize("unit", ["sample", "token"])
def test_a_samples_weights_sum_to_one_and_are_zero_where_nothing_was_chosen(unit, generator):
    _, routing = mixture_of(unit)(torch.randn(4, 9, WIDTH, generator=generator), 0.5)
    torch.testing.assert_close(routing.weights_BE.sum(1), torch.ones(4))
    torch.testing.assert_close(routing.probabilities_BE.sum(1), torch.ones(4))
    assert torch.equal(routing.chosen_BE, routing.weights_BE > 0)
    counts = routing.chosen_BE.sum(1)
    assert (counts == CHOSEN).all() if unit == "sample" else (counts > CHOSEN).any()


def test_a_samples_routing_is_the_mean_over_its_tokens(generator):
    x = torch.randn(2, 5, WIDTH, generator=generator)
    mixture = mixture_of("token")
    _, together = mixture(x, 0.5)
    for number in range(2):
        each = [mixture(x[number : number + 1, n : n + 1], 0.5)[1] for n in range(5)]
        for name in ("weights_BE", "probabilities_BE"):
            mean = torch.stack([getattr(routing, name)[0] for routing in each]).mean(0)
            torch.testing.assert_close(getattr(together, name)[number], mean)


def test_an_experts_share_is_that_of_the_tokens_that_chose_it(generator):
    """Not whether some token did: a router that sends all but one to two experts is uneven."""
    x = torch.randn(1, 9, WIDTH, generator=generator)
    mixture = mixture_of("token")
    _, together = mixture(x, 0.5)
    counts = sum(mixture(x[:, n : n + 1], 0.5)[1].chosen_BE.float() for n in range(9))
    torch.testing.assert_close(together.shares_BE, counts / (9 * CHOSEN))
    usage = ExpertUsage(1, torch.device("cpu"))
    usage.add((together,), torch.zeros(1, dtype=torch.int64))
    shares_LKE, _ = usage.reduce(lambda tensor: tensor)
    torch.testing.assert_close(shares_LKE[0].float(), counts / (9 * CHOSEN))


def semantic(**options: object) -> MixtureOfExperts:
    config = RouterConfig(
        num_experts=3, top_k=1, unit="token", gate="prototypes", weights="probability", **options
    )
    mixture = MixtureOfExperts(WIDTH, WIDTH, 1, config, (3, 4, 5))
    initialise(mixture, 0)
    return mixture


def test_a_token_like_a_prototype_chooses_it_with_the_softmax_of_cosines():
    mixture = semantic(sharpness=10.0)
    gate = mixture.router.gate
    features = gate.prototypes.detach() * torch.tensor([[2.0], [0.5], [7.0]])
    features = features - features.mean(1, keepdim=True)
    gate.prototypes.data.copy_(features)
    routing = mixture.router(features, 1.0)
    assert routing.experts_BK[:, 0].tolist() == [0, 1, 2]
    unit = torch.nn.functional.normalize(features, dim=1)
    wanted = (10 * unit @ unit.t()).softmax(1).diagonal()
    torch.testing.assert_close(routing.weights_BK[:, 0], wanted, rtol=1e-4, atol=1e-5)


def test_the_weight_of_the_one_chosen_expert_teaches_the_prototypes(generator):
    mixture = semantic()
    out, _ = mixture(torch.randn(2, 60, WIDTH, generator=generator), 1.0)
    (gradient,) = torch.autograd.grad(out.square().sum(), mixture.router.gate.prototypes)
    assert gradient.abs().max() > 0


def test_a_neighbourhood_routes_the_mean_around_each_token(generator):
    mixture = semantic(neighbourhood=3)
    x = torch.randn(2, 60, WIDTH, generator=generator)
    seen = mixture._with_neighbours(x)
    on_grid = x.view(2, 3, 4, 5, WIDTH)
    shifts = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)]
    mean = torch.stack([on_grid.roll(shift, (1, 2, 3)) for shift in shifts]).mean(0)
    torch.testing.assert_close(seen.view_as(mean), mean)
    _, routing = mixture(x, 1.0)
    assert routing.shares_BE.sum(1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbourhood": 2, "unit": "token"}, "an odd number of tokens"),
        ({"neighbourhood": 3}, "an odd number of tokens"),
        ({"by": "corpus"}, "set router.top_k=1"),
    ],
)
def test_routers_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RouterConfig(**options)
