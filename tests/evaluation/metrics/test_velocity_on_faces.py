"""Laws of velocities on faces."""

import math
from dataclasses import replace

import pytest
import torch
from forecasts import forecast_of
from torch import Tensor

from data_shards.box.grid import Box
from data_shards.errors import UserError
from data_shards.stream.origin import Origin
from evaluation.metrics.forecast import Forecast
from evaluation.metrics.registry import measure
from foundation.physics.staggered import along_walls, curl

NAMES = ("face_divergence", "mean_flow_error")
DIVERGENCES, SLIPS = ("max_divergence", "max_divergence_stored"), ("slip", "slip_exact")
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
    assert measure((*NAMES, *DIVERGENCES, *SLIPS), forecast) == {}


def _made(velocity: Tensor) -> Forecast:
    """As a model gives it, and as float32 keeps it."""
    return replace(_forecast(velocity.float()), made_BTCHW=velocity[None, None])


def test_the_largest_divergence_of_a_wave_is_its_closed_form() -> None:
    """sin(2 pi x) of rms 1 / sqrt(2) along the shortest side; the longest is three times that."""
    x = torch.arange(8, dtype=torch.float64) / 8
    velocity = torch.zeros(3, *GRID, dtype=torch.float64)
    velocity[0] = 5 * torch.sin(2 * math.pi * x)
    wanted = 3 * math.sqrt(2) * 2 * 8 * math.sin(math.pi / 8)
    wanted *= math.cos(math.pi / 8)  # the steepest face is half a cell from the steepest point
    assert float(measure(DIVERGENCES, _made(velocity))["max_divergence"]) == pytest.approx(wanted)


def test_float32_keeps_a_millionth_of_a_curl_and_float64_nothing(
    generator: torch.Generator,
) -> None:
    found = measure(DIVERGENCES, _made(curl(_random(generator)[None], SPACING)[0]))
    # Round-off of some dozens of cells a side, in units of speed over the box.
    assert float(found["max_divergence"]) < 1e-12
    assert 1e-7 < float(found["max_divergence_stored"]) < 1e-4
    rest = measure(DIVERGENCES, _made(torch.zeros(3, *GRID, dtype=torch.float64)))
    assert [float(value) for value in rest.values()] == [0, 0]


def test_stored_predictions_have_lost_their_digits(generator: torch.Generator) -> None:
    stored = _forecast(_random(generator))
    assert measure(DIVERGENCES[1:], stored)
    with pytest.raises(UserError, match="which no stored prediction holds"):
        measure(DIVERGENCES, stored)


PERIODIC = dict.fromkeys(("left", "right", "bottom", "top", "front", "back"), "periodic")


def _between(pred: Tensor, true: Tensor, bottom: str, top: str) -> dict[str, float]:
    """Slip between plates across y."""
    forecast = _forecast(pred, true)
    origin = Origin(extent=EXTENT, boundary={**PERIODIC, "bottom": bottom, "top": top})
    found = measure(SLIPS, replace(forecast, origins=(origin,)))
    return {name: float(value) for name, value in found.items()}


def test_a_plug_flow_slips_wholly_and_one_that_clings_by_half_a_cell_of_shear() -> None:
    y = (torch.arange(6, dtype=torch.float64)[:, None] + 0.5) / 6
    plug, clinging = torch.zeros(2, 3, *GRID, dtype=torch.float64)
    plug[0], clinging[0] = 1.0, y * (1 - y)  # plane Poiseuille flow
    scaled = plug * clinging[0].square().mean().sqrt()
    found = _between(scaled, clinging, "no_slip", "no_slip")
    assert found["slip"] == pytest.approx(1)
    rms = clinging[0].square().mean().sqrt()
    assert found["slip_exact"] == pytest.approx(float(11 / 144 / rms))
    assert _between(plug, plug, "periodic", "periodic") == {"slip": 0, "slip_exact": 0}


def test_a_free_surface_is_no_wall_to_cling_to() -> None:
    above = torch.zeros(3, *GRID, dtype=torch.float64)
    above[0, :, -1] = 1.0
    assert _between(above, above, "no_slip", "free_slip")["slip"] == 0
    assert _between(above, above, "no_slip", "no_slip")["slip"] > 1


def test_what_runs_along_solids_is_what_the_solver_mirrors_in_them(rng) -> None:
    solid = torch.from_numpy(rng.random(GRID) < 0.4)
    box = Box(GRID, (1.0, 1.0, 1.0), (None, ("no_slip", "free_slip"), None), solid)
    walls = torch.tensor([[0, 1, 0]])
    nowhere = torch.zeros(1, 3, 2)  # its rule of walls is told apart from that of solids
    beside = along_walls((~solid).double()[None], walls, nowhere)[0]
    assert 0 < beside.sum() < box.open.sum()
    assert torch.equal(beside, (box.mirrors > 0) * box.open)


def test_a_flow_that_is_not_finite_is_infinitely_wrong(generator: torch.Generator) -> None:
    broken = _random(generator)
    broken[0, 1, 0, 3] = torch.nan
    found = measure(DIVERGENCES, _made(broken))
    found |= {
        "slip": torch.tensor(_between(broken, _random(generator), "no_slip", "no_slip")["slip"])
    }
    assert all(float(value) == torch.inf for value in found.values())
