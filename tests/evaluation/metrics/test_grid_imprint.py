"""The patch grid in errors: white and smooth ones have none, patches of every size do."""

import pytest
import torch
from forecasts import forecast_of
from torch import Tensor
from torch.nn import functional as F

from evaluation.metrics.imprint import is_measured
from evaluation.metrics.registry import measure

SIDE = 64


def imprint(error: Tensor) -> Tensor:
    """Of errors (B, T, 1, H, W) of a forecast of zero."""
    return measure(("grid_imprint",), forecast_of(error, torch.zeros_like(error)))["grid_imprint"]


def noise(generator: torch.Generator, frames: int = 40, side: int = SIDE) -> Tensor:
    return torch.randn(2, frames, 1, side, side, generator=generator)


def smooth(generator: torch.Generator, exponent: float = 2.0) -> Tensor:
    """Noise whose amplitudes fall with the wave number, as errors of a forecast do."""
    waves = torch.fft.fft2(noise(generator))
    k = torch.fft.fftfreq(SIDE, 1 / SIDE)
    size = torch.hypot(k[:, None], k).clamp(min=1.0)
    return torch.fft.ifft2(waves / size**exponent).real


def test_white_error_has_one(generator):
    # The largest of three ratios of means over a thousand waves and more in 40 frames.
    torch.testing.assert_close(imprint(noise(generator)), torch.ones(2).double(), rtol=0, atol=0.02)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_smooth_error_has_no_more(exponent, generator):
    assert (imprint(smooth(generator, exponent)) < 1.05).all()


def test_sides_that_do_not_meet_are_no_grid(generator):
    ramp = torch.linspace(0, 1, SIDE)[:, None].expand(SIDE, SIDE)
    assert (imprint(smooth(generator) / SIDE + ramp) < 1.05).all()


@pytest.mark.parametrize("period", [2, 4, 8])
def test_patches_of_every_size_are_seen(period, generator):
    """Means over patches, as a head without overlap makes them of what varies inside."""
    error = smooth(generator)
    blocks = F.avg_pool2d(error.flatten(0, 1), period)
    blocks = F.interpolate(blocks, scale_factor=period).view_as(error)
    assert (imprint(blocks) > 4).all()


def test_a_pattern_in_every_patch_is_the_share_of_its_energy(generator):
    """White noise and one wave of the patches: their energy in as many waves as lie near."""
    at = torch.arange(SIDE)
    wave = torch.cos(2 * torch.pi * at / 4).expand(SIDE, SIDE)
    added = SIDE**2 * 0.2**2 / 2  # Parseval: in units of a white wave's energy
    along = [abs(k / 16 - round(k / 16)) <= 0.25 for k in range(-32, 32)]
    near = sum(along) ** 2 - sum(abs(k) <= 4 for k in range(-32, 32)) ** 2
    found = imprint(noise(generator) + 0.2 * wave).mean().item()
    assert found == pytest.approx(1 + added / near, rel=0.02)


def test_nothing_wrong_has_none_and_what_blew_up_is_not_a_number():
    assert imprint(torch.zeros(1, 2, 1, SIDE, SIDE)).tolist() == [0.0]
    assert imprint(torch.full((1, 2, 1, SIDE, SIDE), torch.inf)).isnan().all()


@pytest.mark.parametrize(
    ("grid", "wanted"),
    [((64, 64), True), ((128, 64), True), ((1, 64), False), ((30, 64), False), ((32,) * 3, False)],
)
def test_it_is_of_planes(grid, wanted):
    assert is_measured(grid) is wanted
