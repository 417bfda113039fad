"""The operator's own laws: a function of the field, not of its grid or place."""

import pytest
import torch
from architectures import batch_of, network_of, random_batch
from torch.nn import functional as F

from data_shards.errors import UserError
from foundation.nn.patch import in_patches, stacked_with_places, to_cells

CHANNELS = 10 * 4  # stacked context; two coordinates follow


def blind(resolution: int = 16, **options):
    """A network that does not see its coordinates."""
    model = network_of("fno", resolution=resolution, **options)
    cells = model.config.patch**2
    with torch.no_grad():
        model.lift.weight[:, CHANNELS * cells :] = 0
    return model


def smooth(generator: torch.Generator, side: int) -> torch.Tensor:
    at = 2 * torch.pi * torch.arange(side) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    size, phase = torch.rand(2, 2, 10, 4, 1, 1, generator=generator)
    return size * torch.sin(y + 6 * phase) * torch.cos(x - 6 * phase)


@pytest.mark.parametrize("name", ["fno", "moe_fno"])
def test_residual_layers_without_weights_pass_on_what_they_get(name, generator):
    model = network_of(name, residual=True)
    with torch.no_grad():
        for weight in model.layers.parameters():
            weight.zero_()
    batch = random_batch(generator)
    lifted = model.lift(in_patches(stacked_with_places(batch.given), 1))
    expected = model.project(F.gelu(model.hidden(lifted))).movedim(-1, 1)
    torch.testing.assert_close(model(batch).fields[:, 0], expected)


def test_a_skip_alone_sees_the_cells_of_a_patch_and_no_others(generator):
    model = network_of("fno", patch=4, modes=2, skip=True)
    with torch.no_grad():
        model.hidden.weight.zero_()
    batch = random_batch(generator, count=1)
    batch.given.requires_grad_()
    model(batch).fields[0, 0, :, 5, 9].sum().backward()
    seen = batch.given.grad.abs().sum((0, 1, 2)) > 0
    assert seen[4:8, 8:12].all()
    assert seen.sum() == 16


def test_a_smooth_head_sees_a_cell_of_what_is_given_and_a_line_between_patches(generator):
    model = network_of("fno", patch=4, modes=2, skip=True, head="smooth")
    batch = random_batch(generator, count=1)
    with torch.no_grad():
        model.hidden.weight.zero_()
    batch.given.requires_grad_()
    model(batch).fields[0, 0, :, 5, 9].sum().backward()
    seen = batch.given.grad.abs().sum((0, 1, 2)) > 0
    assert seen[5, 9]
    assert seen.sum() == 1

    ramp = torch.arange(8.0)[:, None] + 10 * torch.arange(8.0)
    places = (torch.arange(32) - 1.5) / 4
    inner = to_cells(ramp[None, ..., None], 4)[0, 2:-2, 2:-2, 0]
    torch.testing.assert_close(inner, (places[:, None] + 10 * places)[2:-2, 2:-2])


def test_a_smooth_head_needs_patches():
    with pytest.raises(UserError, match=r"head=smooth.*set patch"):
        network_of("fno", head="smooth")


@pytest.mark.parametrize("shift", [(1, 0), (0, 5), (3, 2)])
def test_without_coordinates_a_shifted_flow_has_a_shifted_future(generator, shift):
    fields = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model = blind()
    moved = model(batch_of(fields.roll(shift, (3, 4)))).fields
    expected = model(batch_of(fields)).fields.roll(shift, (3, 4))
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-5)


def test_by_whole_patches_a_shifted_flow_has_a_shifted_future(generator):
    fields = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model = blind(patch=2, residual=True)
    expected = model(batch_of(fields)).fields
    moved = model(batch_of(fields.roll((4, 2), (3, 4)))).fields
    torch.testing.assert_close(moved, expected.roll((4, 2), (3, 4)), rtol=1e-4, atol=1e-5)
    assert (model(batch_of(fields.roll(1, 4))).fields - expected.roll(1, 4)).abs().max() > 1e-3


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
