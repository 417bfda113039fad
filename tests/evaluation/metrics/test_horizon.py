"""Laws of the valid prediction time."""

import pytest
import torch
from forecasts import forecast_of

from data_shards.stream.origin import Origin
from evaluation.metrics.horizon import valid_frames
from evaluation.metrics.registry import measure

CURVES = torch.tensor(
    [
        [0.1, 0.2, 0.3, 0.1],  # exceeds 0.2 at frame 3; that it returns does not count
        [0.1, 0.1, 0.1, 0.1],
        [0.5, 0.1, 0.1, 0.1],
        [0.1, 0.1, 0.1, torch.inf],
    ]
)


def test_valid_frames_by_hand_end_before_the_first_that_exceeds() -> None:
    torch.testing.assert_close(valid_frames(CURVES, 0.2), torch.tensor([2.0, 4.0, 0.0, 3.0]))


def test_a_larger_threshold_never_shortens_the_horizon(generator: torch.Generator) -> None:
    curves = torch.rand(50, 20, generator=generator)
    counts = [valid_frames(curves, threshold) for threshold in (0.1, 0.5, 0.9)]
    assert (counts[0] <= counts[1]).all()
    assert (counts[1] <= counts[2]).all()
    assert (counts[0] < counts[2]).any()


@pytest.mark.parametrize("dt_s", [0.05, 6.0])
def test_valid_time_is_frames_times_the_time_between_them(dt_s: float) -> None:
    true = torch.ones(1, 4, 1, 4, 4)
    pred = true + torch.tensor([0.0, 0.1, 0.2, 0.3]).reshape(1, 4, 1, 1, 1)
    forecast = forecast_of(pred, true, threshold=0.15, origin=Origin(dt_s=dt_s))
    values = measure(("valid_frames", "valid_time"), forecast)
    assert values["valid_frames"].item() == 2
    assert values["valid_time"].item() == pytest.approx(2 * dt_s)


def test_what_comes_after_the_horizon_may_be_anything() -> None:
    true = torch.ones(1, 3, 1, 4, 4)
    pred = true.clone()
    pred[:, 2] = torch.nan
    assert measure(("valid_frames",), forecast_of(pred, true))["valid_frames"].item() == 2
