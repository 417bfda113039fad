"""Laws of the detector: area of separated, equal and swapped sides, and of its error."""

import numpy as np
import pytest
from handmade_routes import handmade

from evaluation.routing.detection import auroc, detect, nearest_distances
from evaluation.routing.fingerprints import fingerprint, stacked
from evaluation.routing.inference import entropies

EPSILON = 1e-12


def _group(values: np.ndarray, per_trajectory: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(values, float), np.arange(len(values)) // per_trajectory


def test_separated_sides_have_area_one_and_their_reverse_none() -> None:
    low, high = _group(np.arange(5.0)), _group(np.arange(5.0) + 10)
    assert auroc([low], [high]).value == 1
    assert auroc([low], [high]).standard_error == 0
    assert auroc([high], [low]).value == 0


def test_sides_of_one_law_have_area_one_half_within_its_error(rng: np.random.Generator) -> None:
    area = auroc([_group(rng.normal(size=300))], [_group(rng.normal(size=200))])
    assert area.standard_error is not None
    assert abs(area.value - 0.5) < 4 * area.standard_error


def test_error_of_the_area_is_that_of_the_closed_form(rng: np.random.Generator) -> None:
    """Of one continuous law: variance (m + n + 1) / (12 m n), Mann and Whitney."""
    m, n = 150, 100
    error = auroc([_group(rng.normal(size=m))], [_group(rng.normal(size=n))]).standard_error
    # 15%: the closed form is of the law, the bootstrap of one draw of 100
    assert error == pytest.approx(np.sqrt((m + n + 1) / (12 * m * n)), rel=0.15)


def test_equal_values_count_half_and_swapping_sides_complements(rng: np.random.Generator) -> None:
    a, b = _group(rng.integers(0, 4, 30)), _group(rng.integers(1, 5, 20))
    assert auroc([_group(np.ones(3))], [_group(np.ones(4))]).value == 0.5
    assert auroc([a], [b]).value + auroc([b], [a]).value == pytest.approx(1)


def test_a_growing_function_of_all_values_changes_nothing(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=20), rng.normal(0.5, size=20)
    assert auroc([_group(a)], [_group(b)]) == auroc([_group(np.exp(a))], [_group(np.exp(b))])


def test_corpora_of_a_side_weigh_alike() -> None:
    near, far = _group(np.zeros(3)), _group(np.full(50, 2.0))
    assert auroc([near, far], [_group(np.ones(4))]).value == 0.5


def test_windows_of_one_trajectory_are_not_independent(rng: np.random.Generator) -> None:
    """Ten copies of every value: the same area, and no smaller error for it."""
    a, b = rng.normal(size=30), rng.normal(1, size=30)
    once = auroc([_group(a)], [_group(b)])
    copied = auroc([_group(np.repeat(a, 10), 10)], [_group(np.repeat(b, 10), 10)])
    assert copied.value == pytest.approx(once.value)
    assert copied.standard_error == pytest.approx(once.standard_error)


def test_a_single_trajectory_has_no_error_to_see() -> None:
    assert auroc([_group(np.zeros(1))], [_group(np.ones(9))]).standard_error is None


def test_divergence_is_never_negative_and_zero_at_a_fingerprint(rng: np.random.Generator) -> None:
    samples = rng.dirichlet(np.ones(5), size=(30, 2))
    far = nearest_distances(samples, samples[:7], EPSILON, "divergence")
    # 1e-9: rounding of sums of five logarithms
    assert far.min() > -1e-9
    np.testing.assert_allclose(far[:7], 0, atol=1e-9)
    assert far[7:].min() > 1e-6
    cross = nearest_distances(samples, samples[:7], EPSILON, "cross_entropy")
    np.testing.assert_allclose(cross - far, entropies(samples))


def test_an_unsure_router_is_far_by_cross_entropy_but_not_by_divergence() -> None:
    """Seen: a sharp and a flat corpus. Unseen: sharp, on another expert."""
    flat, sharp, strange = (
        np.tile(p, (20, 1, 1))
        for p in ([0.2] * 3 + [0.4], [0.97, 0.01, 0.01, 0.01], [0.01] * 3 + [0.97])
    )
    seen = [handmade("flat", flat), handmade("sharp", sharp)]
    known = stacked([fingerprint(routes, "train", "x") for routes in seen])
    found = detect(seen, [handmade("strange", strange)], known, EPSILON)
    areas = {name: detector.combined.value for name, detector in found.detectors.items()}
    # Cross entropies: sharp 0.17, stranger 0.94, flat 1.33; divergences: 0, 0.77 and 0.
    assert areas == {"cross_entropy": 0.5, "divergence": 1.0}
    assert found.detectors["divergence"].per_corpus["strange"].value == 1


def test_a_stranger_that_routes_like_a_seen_corpus_is_not_told(rng: np.random.Generator) -> None:
    draw = lambda count: rng.dirichlet([8, 4, 2, 1], size=(count, 2))  # noqa: E731
    seen = [handmade("a", draw(200))]
    known = stacked([fingerprint(handmade("a", draw(50)), "train", "x")])
    found = detect(seen, [handmade("b", draw(200))], known, EPSILON)
    for detector in found.detectors.values():
        error = detector.combined.standard_error
        assert error is not None
        assert abs(detector.combined.value - 0.5) < 4 * error


def test_sides_that_never_mix_have_no_error_not_even_of_rounding() -> None:
    low, high = np.linspace(0, 1, 7), np.linspace(2, 3, 9)
    area = auroc([(low, np.arange(7))], [(high, np.arange(9))])
    assert (area.value, area.standard_error) == (1, 0)
