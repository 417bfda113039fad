"""What an equation of evolution leaves of a forecast: little of the truth, much of a standstill."""

from dataclasses import replace
from math import pi

import pytest
import torch

from data_shards.stream.origin import Origin
from evaluation.metrics.evolution import evolution_residual, has_evolution, residual_per_frame
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.registry import find_measurement

VISCOSITY, FRAMES, CELLS = 0.02, 40, 32


def heat() -> Forecast:
    """Two exact solutions of the heat equation, of sizes one and seven."""
    t = torch.arange(FRAMES + 1).double()[:, None] / FRAMES
    x = torch.arange(CELLS).double() / CELLS
    u = (torch.exp(-VISCOSITY * 4 * pi**2 * t) * (2 * pi * x).sin())[:, None, None]
    fields = torch.stack([u, 7 * u])
    setting = Setting(grid=(1, CELLS), frames=FRAMES, channels=("u",), pde="heat", given=("u",))
    origin = Origin(1 / FRAMES, (0, 1, 0, 1), {"advection": 0.0, "viscosity": VISCOSITY})
    pred = fields[:, 1:]
    points = torch.ones(2, 1, 1, 1, CELLS)
    return Forecast(pred, pred, points, setting, (origin,) * 2, given={"u": fields[:, :1, 0]})


def test_an_exact_solution_leaves_what_differences_over_frames_leave_whatever_its_size():
    left = evolution_residual(heat())
    assert (left < 1e-3).all()
    torch.testing.assert_close(left[0], left[1])


def test_a_standstill_leaves_the_diffusion_that_it_denies():
    forecast = heat()
    still = forecast.given["u"][:, :, None].expand_as(forecast.pred_BTCHW)
    left = evolution_residual(replace(forecast, pred_BTCHW=still))
    rate = VISCOSITY * 4 * pi**2
    decay = torch.exp(-rate * torch.arange(1, FRAMES + 1).double() / FRAMES)
    expected = rate / decay.square().mean().sqrt()
    torch.testing.assert_close(left, expected.expand(2), rtol=1e-6, atol=0)


def test_a_jump_is_seen_in_its_own_frame_and_by_its_neighbours_in_time():
    forecast = heat()
    pred = forecast.pred_BTCHW.clone()
    pred[:, 20, :, :, 7] += 0.1
    changed = residual_per_frame(replace(forecast, pred_BTCHW=pred)) - residual_per_frame(forecast)
    assert (changed[:, 19:22] > 1e-2).all()
    assert (changed[:, :19] == 0).all()
    assert (changed[:, 22:] == 0).all()


def test_runs_of_frames_have_metrics_of_their_own():
    forecast = heat()
    per_frame = residual_per_frame(forecast)
    early = find_measurement("evolution_residual_frames_1_3")
    assert early.applies(forecast.setting)
    torch.testing.assert_close(early.measure(forecast), per_frame[:, :3].square().mean(1).sqrt())
    late = find_measurement("l2re_frames_30_40")
    torch.testing.assert_close(late.measure(forecast), forecast.per_frame_BT[:, 29:].mean(1))
    assert not find_measurement("l2re_frames_30_41").applies(forecast.setting)


@pytest.mark.parametrize(
    ("changes", "applies"),
    [
        ({}, True),
        ({"pde": "shallow water"}, False),
        ({"given": ()}, False),  # the scored grid is not that of the data
        ({"frames": 1}, False),
        ({"grid": (32, 32)}, False),
    ],
)
def test_it_applies_where_the_equation_is_known_and_its_first_frame_given(changes, applies):
    assert has_evolution(replace(heat().setting, **changes)) == applies
