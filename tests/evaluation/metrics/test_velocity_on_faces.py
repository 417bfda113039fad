"""Laws of velocities on faces."""

from dataclasses import replace

import pytest
import torch
from forecasts import forecast_of
from torch import Tensor

from evaluation.metrics import Forecast, Origin, measure
from foundation.physics.staggered import curl

NAMES = ("face_divergence", "mean_flow_error")
GRID, EXTENT = (4, 6, 8), (0.0, 1.0, 0.0, 3.0, 0.0, 2.0)
SPACING = (1 / 8, 1 / 2, 1 / 2)


def _forecast(pred: Tensor, true: Tensor | None = None) -> Forecast:
    """Of velocities (3, *S)."""
    fields = [x[None, None] for x in (pred, pred if true is None else true)]
    forecast = forecast_of(*fields, channels=("u", "v", "w"), origin=Origin(extent=EXTENT))
    axes = {"u": "x", "v": "y", "w": "z"}
    return replace(forecast, setting=replace(forecast.setting, grid=GRID, staggered=axes))


def _random(generator: torch.Generator) -> Tensor:
    return torch.randn(3, *GRID, generator=generator, dtype=torch.float64)


def test_a_curl_has_no_divergence_and_storage_leaves_a_trace(generator: torch.Generator) -> None:
    velocity = curl(_random(generator)[None], SPACING)[0]
    assert float(measure(NAMES, _forecast(velocity))["face_divergence"]) < 1e-14
    stored = float(measure(NAMES, _forecast(velocity.float()))["face_divergence"])
    assert 1e-9 < stored < 1e-6


def test_a_flow_along_one_axis_that_nothing_balances_has_a_divergence_of_one() -> None:
    velocity = torch.zeros(3, *GRID)
    velocity[1] = torch.arange(6.0)[:, None] ** 2
    assert float(measure(NAMES, _forecast(velocity))["face_divergence"]) == pytest.approx(1)


def test_the_spacing_of_every_axis_counts() -> None:
    """x against y with opposite slopes: balanced on these cells, and not on cubes."""
    x, y = torch.arange(8.0) / 8, torch.arange(6.0)[:, None] / 2
    velocity = torch.zeros(3, *GRID)
    velocity[0], velocity[1] = x, -y
    forecast = _forecast(velocity)
    inside = forecast.points_B1CHW.clone()
    inside[..., -1, :] = inside[..., :, -1] = 0  # where the axes close on themselves
    balanced = replace(forecast, points_B1CHW=inside)
    assert float(measure(NAMES, balanced)["face_divergence"]) < 1e-6
    cubes = replace(balanced, origins=(Origin(extent=(0, 8, 0, 6, 0, 4)),))
    assert float(measure(NAMES, cubes)["face_divergence"]) > 0.5


def test_mean_flow_is_that_of_the_whole_box(generator: torch.Generator) -> None:
    true = _random(generator)
    true += torch.tensor([3.0, 0.0, 4.0])[:, None, None, None] - true.mean((1, 2, 3), keepdim=True)
    pred = true + torch.tensor([0.0, 0.5, 0.0])[:, None, None, None]
    assert float(measure(NAMES, _forecast(pred, true))["mean_flow_error"]) == pytest.approx(0.1)
    assert float(measure(NAMES, _forecast(true, true))["mean_flow_error"]) == 0


def test_a_velocity_at_the_centres_of_cells_has_neither(generator: torch.Generator) -> None:
    fields = _random(generator)[None, None]
    forecast = forecast_of(fields, fields, channels=("u", "v", "w"))
    assert measure(NAMES, forecast) == {}
