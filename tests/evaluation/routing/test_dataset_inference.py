"""Laws of dataset inference: Gibbs, one-hot corpora, chance, permuted experts, bootstrap."""

import numpy as np
import pytest
from handmade_routes import handmade

from evaluation.records.record import Score
from evaluation.routing.fingerprints import fingerprint, stacked
from evaluation.routing.inference import cross_entropies, entropies, infer, mean_score
from evaluation.routing.routes import over_trajectories

EPSILON = 1e-12


def _drawn(rng: np.random.Generator, count: int, blocks: int = 3, experts: int = 6) -> np.ndarray:
    return rng.dirichlet(np.full(experts, 0.7), size=(count, blocks))


def _one_hot(expert: int, count: int, blocks: int = 2, experts: int = 4) -> np.ndarray:
    return np.tile(np.eye(experts)[expert], (count, blocks, 1))


def test_cross_entropy_is_least_under_the_samples_own_distribution(
    rng: np.random.Generator,
) -> None:
    """Gibbs: sum of a sample and any other distribution exceeds the sample's entropy."""
    samples_NLE = _drawn(rng, 40)
    against_itself = cross_entropies(samples_NLE, samples_NLE, EPSILON)
    own = against_itself[np.arange(40), np.arange(40)]
    assert (against_itself.argmin(axis=1) == np.arange(40)[:, None]).all()
    # 1e-10: 40 logarithms of at most 28 nats, in float64
    np.testing.assert_allclose(own, entropies(samples_NLE), atol=1e-10)


def test_all_blocks_together_add_their_cross_entropies(rng: np.random.Generator) -> None:
    values = cross_entropies(_drawn(rng, 5), _drawn(rng, 3), EPSILON)
    assert values.shape == (5, 3, 4)
    np.testing.assert_allclose(values[..., -1], values[..., :-1].sum(-1))


def test_an_expert_that_a_corpus_never_uses_counts_the_logarithm_of_epsilon() -> None:
    values = cross_entropies(_one_hot(0, 1), _one_hot(1, 1), EPSILON)
    np.testing.assert_allclose(values[0, 0, :-1], -np.log(EPSILON))


def test_disjoint_corpora_are_told_apart_without_error() -> None:
    tests = [handmade(name, _one_hot(e, 5)) for e, name in enumerate("abcd")]
    known = [fingerprint(routes, "train", "x") for routes in tests]
    found = infer(tests, stacked(known), EPSILON)
    for look in (*found.blocks, found.combined):
        assert look.accuracy == Score(value=1.0, standard_error=0.0)
        np.testing.assert_array_equal(look.confusion, np.eye(4))


def test_equal_fingerprints_give_chance_whatever_the_numbers_of_samples(
    rng: np.random.Generator,
) -> None:
    """A constant answer: the mean over corpora is 1/K, a mean over samples would be 9/12."""
    same_KLE = np.tile(_drawn(rng, 1), (3, 1, 1))
    tests = [handmade(name, _drawn(rng, count)) for name, count in {"a": 9, "b": 2, "c": 1}.items()]
    found = infer(tests, same_KLE, EPSILON)
    assert found.combined.accuracy.value == pytest.approx(found.chance) == pytest.approx(1 / 3)
    assert [score.value for score in found.combined.found] == [1, 0, 0]


def test_routers_that_know_nothing_are_right_by_chance(rng: np.random.Generator) -> None:
    """All corpora drawn from one law: the accuracy is 1/K within its own error."""
    corpora = {name: handmade(name, _drawn(rng, 400)) for name in "abcd"}
    known = [fingerprint(handmade(n, _drawn(rng, 50)), "train", "x") for n in corpora]
    accuracy = infer(list(corpora.values()), stacked(known), EPSILON).combined.accuracy
    assert accuracy.standard_error is not None
    assert 0 < accuracy.standard_error < 0.03
    assert abs(accuracy.value - 0.25) < 4 * accuracy.standard_error


def test_renaming_experts_changes_nothing(rng: np.random.Generator) -> None:
    orders = np.stack([rng.permutation(6) for _ in range(3)])  # each block its own

    def renamed(values_NLE: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values_NLE, orders[None], axis=2)

    samples, marks = [_drawn(rng, 20) for _ in range(3)], _drawn(rng, 3)
    before = infer([handmade(n, s) for n, s in zip("abc", samples, strict=True)], marks, EPSILON)
    tests = [handmade(n, renamed(s)) for n, s in zip("abc", samples, strict=True)]
    assert infer(tests, renamed(marks), EPSILON) == before


def test_corpora_in_another_order_give_the_same_answers_in_that_order(
    rng: np.random.Generator,
) -> None:
    tests = [handmade(name, _drawn(rng, 15)) for name in "abc"]
    marks_KLE = _drawn(rng, 3)
    before = infer(tests, marks_KLE, EPSILON)
    after = infer(tests[::-1], marks_KLE[::-1], EPSILON)
    np.testing.assert_allclose(
        after.combined.confusion, np.array(before.combined.confusion)[::-1, ::-1]
    )
    assert after.combined.accuracy.value == pytest.approx(before.combined.accuracy.value)


def test_windows_of_one_trajectory_weigh_as_one() -> None:
    """Three windows of a trajectory that are right and one of another that is wrong: 1/2."""
    samples = np.concatenate([_one_hot(0, 3), _one_hot(1, 1)])
    tests = [handmade("a", samples, np.array([7, 7, 7, 9])), handmade("b", _one_hot(1, 2))]
    marks_KLE = np.concatenate([_one_hot(0, 1), _one_hot(1, 1)])
    found = infer(tests, marks_KLE, EPSILON)
    assert found.combined.found[0].value == 0.5
    assert found.trajectories == (2, 2)


def test_rows_of_a_confusion_sum_to_one(rng: np.random.Generator) -> None:
    tests = [handmade(n, _drawn(rng, 7), rng.integers(0, 3, 7)) for n in "abc"]
    found = infer(tests, _drawn(rng, 3), EPSILON)
    for look in (*found.blocks, found.combined):
        np.testing.assert_allclose(np.sum(look.confusion, axis=1), 1)
        shares = np.diag(look.confusion)
        np.testing.assert_allclose([score.value for score in look.found], shares)


def test_means_over_trajectories_are_those_by_hand(rng: np.random.Generator) -> None:
    values = rng.normal(size=(5, 2))
    means = over_trajectories(values, np.array([4, 1, 4, 4, 1]))
    np.testing.assert_allclose(means, [values[[1, 4]].mean(0), values[[0, 2, 3]].mean(0)])


def test_errors_of_independent_scores_add_in_quadrature() -> None:
    mean = mean_score([Score(value=1, standard_error=0.3), Score(value=0, standard_error=0.4)])
    assert mean.value == 0.5
    assert mean.standard_error == pytest.approx(0.25)
    single = [Score(value=1, standard_error=0.3), Score(value=0, standard_error=None)]
    assert mean_score(single).standard_error is None


def test_samples_and_fingerprints_must_be_of_the_same_corpora(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="samples of 1 corpora, 2 fingerprints"):
        infer([handmade("a", _drawn(rng, 2))], _drawn(rng, 2), EPSILON)
