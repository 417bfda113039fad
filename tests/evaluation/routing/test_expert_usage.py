"""Laws of expert usage: mutual information and load entropy in closed forms."""

import numpy as np
import pytest
from handmade_routes import handmade

from evaluation.routing.usage import (
    corpus_usage,
    entropy_bits,
    mutual_information_bits,
    specialise,
)


def _one_hot(expert: int, count: int, experts: int = 8) -> np.ndarray:
    return np.tile(np.eye(experts)[expert], (count, 1, 1))


@pytest.mark.parametrize("corpora", [2, 3, 8])
def test_disjoint_corpora_share_log2_of_their_number(
    corpora: int,
) -> None:
    routes = [handmade(str(k), _one_hot(k, 3 + k)) for k in range(corpora)]
    block = specialise(routes)[0]
    assert block.mutual_information_bits == pytest.approx(np.log2(corpora))
    assert block.load_entropy_bits == pytest.approx(np.log2(corpora))
    assert block.shuffled_bits < block.mutual_information_bits
    assert block.purity == pytest.approx(1)
    alike = specialise([handmade(str(k), _one_hot(0, 3 + k)) for k in range(corpora)])[0]
    assert alike.purity == pytest.approx(1 / corpora)


def test_corpora_that_use_experts_alike_share_nothing(rng: np.random.Generator) -> None:
    usage_KLE = np.tile(rng.dirichlet(np.ones(5), size=(1, 3)), (4, 1, 1))
    np.testing.assert_allclose(mutual_information_bits(usage_KLE), 0, atol=1e-12)


def test_scatter_of_one_law_is_what_shuffling_says(rng: np.random.Generator) -> None:
    """Corpora of one law seem to share bits; shuffled corpora seem to share as many."""
    draw = lambda: np.eye(8)[rng.integers(0, 8, size=(60, 4))]  # noqa: E731
    for block in specialise([handmade(name, draw()) for name in "abcde"]):
        assert block.shuffled_bits > 0.01
        # Miller and Madow: (K - 1)(E - 1) / (2 N ln 2) bits, and as much scatter as 14 of
        # 28 degrees of freedom give: 4 sigma of chi-square are 1.07 of its mean
        expected = 4 * 7 / (2 * 300 * np.log(2))
        assert block.shuffled_bits == pytest.approx(expected, rel=0.15)
        assert block.mutual_information_bits < 2.1 * expected


def test_renaming_experts_changes_nothing_but_their_order(rng: np.random.Generator) -> None:
    order = rng.permutation(6)
    samples = [rng.dirichlet(np.ones(6), size=(9, 2)) for _ in range(3)]
    before = [handmade(n, s) for n, s in zip("abc", samples, strict=True)]
    after = [handmade(n, s[..., order]) for n, s in zip("abc", samples, strict=True)]
    for one, other in zip(specialise(before), specialise(after), strict=True):
        for name, value in one.model_dump().items():
            assert getattr(other, name) == pytest.approx(value, abs=1e-9)
    usage, renamed = corpus_usage(before[0], True), corpus_usage(after[0], True)
    np.testing.assert_allclose(renamed.weight, np.array(usage.weight)[:, order])


def test_entropy_of_even_load_is_log2_of_the_experts() -> None:
    np.testing.assert_allclose(entropy_bits(np.full((2, 16), 1 / 16)), 4)
    np.testing.assert_allclose(entropy_bits(np.eye(16)), 0)


def test_usage_counts_choices_and_weighs_them() -> None:
    """Two samples, top 2 of 4: one expert in both, with weights 0.9 and 0.5."""
    weights = np.array([[[0.9, 0.1, 0, 0]], [[0.5, 0, 0.5, 0]]])
    usage = corpus_usage(handmade("a", np.full((2, 1, 4), 0.25), weights=weights), False)
    np.testing.assert_allclose(usage.weight, [[0.7, 0.05, 0.25, 0]], rtol=1e-6)
    np.testing.assert_allclose(usage.chosen, [[1, 0.5, 0.5, 0]])
    assert sum(usage.chosen[0]) == 2
    assert not usage.seen
