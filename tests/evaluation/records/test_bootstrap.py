"""Laws of the standard error."""

import numpy as np
import pytest

from evaluation.records.bootstrap import standard_error


def test_standard_error_approaches_that_of_the_mean(rng: np.random.Generator) -> None:
    error = standard_error(rng.normal(3.0, 2.0, 400))
    assert error is not None
    # 10%: four times the 2.2% by which 1000 resamples scatter
    np.testing.assert_allclose(error, 2.0 / 20, rtol=0.1)


def test_standard_error_is_the_same_at_every_call(rng: np.random.Generator) -> None:
    values = rng.normal(size=30)
    assert standard_error(values) == standard_error(values.copy())


def test_equal_values_have_no_error_and_one_value_has_none_to_see() -> None:
    assert standard_error(np.full(5, 0.25)) == 0.0
    assert standard_error(np.array([0.25])) is None


def test_a_diverged_trajectory_shows_in_the_error() -> None:
    assert standard_error(np.array([0.1, np.inf, 0.2])) == np.inf


def test_windows_of_one_trajectory_are_drawn_together(rng: np.random.Generator) -> None:
    per_trajectory = rng.normal(size=40)
    same = np.repeat(per_trajectory, 5)  # five windows that all say the same
    alone = standard_error(per_trajectory)
    assert alone is not None
    together = standard_error(same, windows=5)
    # 1e-12: means over five times as many values
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    apart = standard_error(same)
    assert apart is not None
    assert apart < 0.6 * alone, "as if there were five times as many trajectories"


def test_windows_of_a_single_trajectory_have_no_error_to_see() -> None:
    assert standard_error(np.array([0.1, 0.2, 0.3]), windows=3) is None


def test_the_median_of_many_normal_values_errs_by_a_quarter_more(rng: np.random.Generator) -> None:
    values = rng.normal(size=1000)
    mean, median = standard_error(values), standard_error(values, of="median")
    assert mean is not None
    assert median is not None
    # sqrt(pi / 2) in the limit; 15%: the density at the median of one sample of 1000
    np.testing.assert_allclose(median / mean, np.sqrt(np.pi / 2), rtol=0.15)


def test_large_samples_are_drawn_in_blocks_of_the_same_draws(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = rng.normal(size=300)
    whole = standard_error(values)
    monkeypatch.setattr("evaluation.records.bootstrap._BLOCK", 7 * 300)
    assert standard_error(values) == whole
