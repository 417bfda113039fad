"""Laws of the headline along a ladder's parameter."""

import numpy as np
import pytest

from evaluation.records.record import along_parameter


def test_few_values_are_groups_of_their_own() -> None:
    omegas = np.array([3.0, 1.0, 3.0, 2.0, 1.0, 3.0])
    errors = np.array([0.3, 0.1, 0.6, 0.2, 0.5, 0.9])
    found = along_parameter({"omega": omegas}, errors)
    assert found is not None
    assert (found.parameter, found.values, found.samples) == ("omega", (1, 2, 3), (2, 1, 3))
    assert found.errors == pytest.approx((0.3, 0.2, 0.6))
    median = along_parameter({"omega": omegas}, errors[::-1], "median")
    assert median is not None
    assert median.errors == (0.3, 0.6, 0.3)


def test_many_values_are_equal_shares_and_keep_the_mean() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(1, 5, 80)
    found = along_parameter({"anisotropy": values}, 3 * values)
    assert found is not None
    assert found.samples == (10,) * 8
    assert found.errors == pytest.approx([3 * value for value in found.values], rel=1e-5)
    assert np.mean(found.values) == pytest.approx(values.mean(), rel=1e-5)
    assert sorted(found.values) == list(found.values)


def test_one_value_or_no_parameter_is_no_curve() -> None:
    assert along_parameter({"omega": np.full(4, 2.0)}, np.ones(4)) is None
    assert along_parameter({}, np.ones(4)) is None
