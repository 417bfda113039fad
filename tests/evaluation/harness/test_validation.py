"""Laws of in-loop validation: the world size shows in nothing but the work per rank."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import square
from evaluation.harness.validation import Validator
from foundation.models.types import Prediction

Open = Callable[[str], ShardedCorpus]


class Persistence(nn.Module):
    """Repeats the last frame times a parameter, and counts its calls."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.calls: list[int] = []

    def forward(self, batch: Batch) -> Prediction:
        assert not self.training, "validation runs in evaluation mode"
        self.calls.append(len(batch))
        return Prediction(batch.given[:, -1:] * self.factor, (), torch.zeros(len(batch), 6))


def _validator(corpus: Open, limit: int = 100, batch_size: int = 2) -> Validator:
    corpora = [corpus("fno_ns_1e-5"), corpus("cfdbench")]
    return Validator(corpora, square(16), 10, 3, limit, batch_size)


def _run_world(validator: Validator, world: int) -> tuple[list[dict[str, float]], list[list[int]]]:
    """Every rank twice in one process: first to gather its vector, then with the sum."""
    vectors: list[Tensor] = []

    def gather(vector: Tensor) -> Tensor:
        vectors.append(vector)
        return vector

    models = [Persistence() for _ in range(world)]
    for rank, model in enumerate(models):
        validator(model, rank=rank, world=world, sum_over_ranks=gather)
    total = torch.stack(vectors).sum(0)
    results = [
        validator(Persistence(), rank=rank, world=world, sum_over_ranks=lambda vector: total)
        for rank in range(world)
    ]
    return results, [model.calls for model in models]


def test_who_watches_is_told_of_every_batch(corpus: Open) -> None:
    told: list[int] = []
    model = Persistence()
    _validator(corpus)(model, watch=lambda: told.append(len(model.calls)))
    assert told == list(range(0, len(model.calls), 3)), "before each rollout of 3 frames"


@pytest.mark.parametrize("world", [2, 3, 7])
def test_result_is_the_same_on_every_rank_and_for_every_world_size(
    corpus: Open, world: int
) -> None:
    validator = _validator(corpus)
    alone = validator(Persistence())
    results, _ = _run_world(validator, world)
    assert all(result == alone for result in results)
    assert all(value > 0 for value in alone.values())


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_every_rank_makes_the_same_forwards_of_the_same_size(corpus: Open, world: int) -> None:
    _, calls = _run_world(_validator(corpus), world)
    assert all(sizes == calls[0] for sizes in calls)
    assert set(calls[0]) == {2}


def test_batch_size_shows_in_nothing(corpus: Open) -> None:
    assert _validator(corpus, batch_size=1)(Persistence()) == pytest.approx(
        _validator(corpus, batch_size=4)(Persistence()), rel=1e-6
    )


def test_value_is_that_of_the_closed_form(corpus: Open) -> None:
    # Frames grow as 1 + 0.05 t, so persistence errs by ratios of amplitudes alone.
    true = 1 + 0.05 * torch.arange(10, 13)
    expected = torch.linalg.vector_norm(true - (1 + 0.05 * 9)) / torch.linalg.vector_norm(true)
    for value in _validator(corpus)(Persistence()).values():
        assert value == pytest.approx(expected.item(), rel=1e-5)  # float32 sums


def test_limit_takes_the_first_trajectories(corpus: Open) -> None:
    model = Persistence()
    _validator(corpus, limit=1, batch_size=1)(model)
    assert model.calls == [1] * 6  # two corpora, three steps


def test_training_mode_and_gradients_come_back(corpus: Open) -> None:
    model = Persistence().train()
    _validator(corpus, limit=1)(model)
    assert model.training
    assert model.factor.grad is None


def test_a_diverged_model_scores_inf(corpus: Open) -> None:
    values = _validator(corpus, limit=2)(Persistence(float("nan")))
    assert set(values.values()) == {float("inf")}


def test_a_horizon_beyond_the_trajectories_is_refused_at_once(corpus: Open) -> None:
    with pytest.raises(UserError, match="have 20 frames, validation needs 21"):
        Validator([corpus("cfdbench")], square(8), 10, 11, 4, 2)
    with pytest.raises(UserError, match="batch_size=0"):
        Validator([corpus("cfdbench")], square(8), 10, 3, 4, 0)
