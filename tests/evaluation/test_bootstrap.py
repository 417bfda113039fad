"""Laws of the standard error."""

import numpy as np

from evaluation.bootstrap import standard_error


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
