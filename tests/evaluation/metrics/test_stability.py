"""Laws of stability: closed forms, with and without a truth."""

import math
from dataclasses import replace

import pytest
import torch
from forecasts import forecast_of

from evaluation.metrics.forecast import Forecast
from evaluation.metrics.registry import measure

NAMES = ("growth", "stable_frames")


def _running_away(factors: list[float], known: int, channels: int = 2) -> Forecast:
    """Frames of the last channel that are the given multiples of a truth of size one."""
    true = torch.ones(1, len(factors), channels, 4, 4)
    pred = true.clone()
    pred[:, :, -1] *= torch.tensor(factors).reshape(1, -1, 1, 1)
    forecast = forecast_of(pred[:, :known], true[:, :known])
    return replace(forecast, beyond_BTCHW=pred[:, known:]) if known < len(factors) else forecast


@pytest.mark.parametrize("known", [1, 2, 4])
def test_what_is_beyond_the_truth_counts_as_what_is_before(known: int) -> None:
    values = measure(NAMES, _running_away([1.0, 2.0, -3.5, 0.5], known))
    assert values["growth"].item() == pytest.approx(3.5)
    assert values["stable_frames"].item() == 2


def test_the_truths_largest_frame_is_the_scale() -> None:
    """Growth of the truth itself is none of the forecast's."""
    true = torch.tensor([1.0, 5.0]).reshape(1, 2, 1, 1, 1).expand(1, 2, 1, 4, 4)
    forecast = replace(forecast_of(true, true), beyond_BTCHW=2 * true)
    values = measure(NAMES, forecast)
    assert values["growth"].item() == pytest.approx(2)
    assert values["stable_frames"].item() == 4


def test_a_forecast_that_dies_out_is_stable() -> None:
    assert measure(NAMES, _running_away([1.0, 0.1, 0.0], 1))["stable_frames"].item() == 3


@pytest.mark.parametrize("end", [math.nan, math.inf, 1e30])
def test_a_forecast_that_is_not_finite_ends_there(end: float) -> None:
    """1e30 squares beyond single precision, and is a number all the same."""
    values = measure(NAMES, _running_away([1.0, 1.0, end, 1.0], 1))
    assert values["stable_frames"].item() == 2
    assert values["growth"].item() == pytest.approx(end if end == 1e30 else math.inf)


def test_points_that_do_not_count_may_run_away() -> None:
    forecast = _running_away([1.0, 9.0], 1, channels=1)
    points = torch.ones(1, 1, 1, 4, 4)
    points[..., 0, :] = 0
    inside = torch.where(points > 0, 1.0, 100.0)
    calm = replace(forecast, points_B1CHW=points, beyond_BTCHW=inside)
    assert measure(NAMES, calm)["growth"].item() == pytest.approx(1)
