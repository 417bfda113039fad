"""The operator's own laws: a function of the field, not of its grid or place."""

import pytest
import torch
from architectures import batch_of, network_of

CHANNELS = 10 * 4  # stacked context; two coordinates follow


def blind(resolution: int = 16):
    """A network that does not see its coordinates."""
    model = network_of("fno", resolution=resolution)
    with torch.no_grad():
        model.lift.weight[:, CHANNELS:] = 0
    return model


def smooth(generator: torch.Generator, side: int) -> torch.Tensor:
    at = 2 * torch.pi * torch.arange(side) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    size, phase = torch.rand(2, 2, 10, 4, 1, 1, generator=generator)
    return size * torch.sin(y + 6 * phase) * torch.cos(x - 6 * phase)


@pytest.mark.parametrize("shift", [(1, 0), (0, 5), (3, 2)])
def test_without_coordinates_a_shifted_flow_has_a_shifted_future(generator, shift):
    fields = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model = blind()
    moved = model(batch_of(fields.roll(shift, (3, 4)))).fields
    expected = model(batch_of(fields)).fields.roll(shift, (3, 4))
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-5)


def test_coordinates_tell_places_apart(generator):
    fields = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model = network_of("fno")
    moved = model(batch_of(fields.roll(3, 4))).fields
    assert (moved - model(batch_of(fields)).fields.roll(3, 4)).abs().max() > 1e-3


def test_the_forecast_settles_as_the_grid_is_refined():
    """The same weights on grids of 16, 32 and 64 points: what differs is aliasing, which dies."""
    forecasts = []
    for side in (16, 32, 64):
        # Large fields: GELU bends them, and a bent wave has overtones that alias.
        fields = 30 * smooth(torch.Generator().manual_seed(1), side)
        every = side // 16
        with torch.no_grad():
            forecasts.append(blind(side)(batch_of(fields)).fields[..., ::every, ::every])
    coarse, middle, fine = forecasts
    first, second = (coarse - middle).abs().max(), (middle - fine).abs().max()
    assert second < 0.05 * first
    assert 1e-4 * fine.abs().max() < first < 0.02 * fine.abs().max()
