"""The U-Net's own laws."""

import pytest
import torch
from architectures import batch_of, network_of

CHANNELS = 10 * 4  # stacked context; two coordinates follow


def blind(**options):
    """A network that does not see its coordinates."""
    model = network_of("unet", **options)
    with torch.no_grad():
        model.stem.weight[:, CHANNELS:] = 0
    return model


@pytest.mark.parametrize("shift", [(4, 0), (0, -4), (8, 4)])
def test_on_a_torus_shifts_by_cells_of_the_coarsest_grid_pass_through(generator, shift):
    fields = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model = blind(padding="circular")
    moved = model(batch_of(fields.roll(shift, (3, 4)))).fields
    expected = model(batch_of(fields)).fields.roll(shift, (3, 4))
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-5)


def test_zeros_beyond_the_edge_tell_where_the_edge_is(generator):
    fields = torch.randn(2, 10, 4, 16, 16, generator=generator)
    model = blind()
    moved = model(batch_of(fields.roll(4, 4))).fields
    assert (moved - model(batch_of(fields)).fields.roll(4, 4)).abs().max() > 1e-2


@pytest.mark.parametrize(("levels", "factor"), [(2, 4), (3, 16)])
def test_the_coarsest_grid_has_the_finest_one_halved_once_per_level(generator, levels, factor):
    model = network_of("unet", levels=levels)
    shapes = []
    model.down[-1].register_forward_hook(lambda _module, _inputs, out: shapes.append(out.shape))
    model(batch_of(torch.randn(1, 10, 4, 16, 16, generator=generator)))
    assert shapes[0][1] == 8 * 2 ** (levels - 1)
    assert shapes[0][2] * shapes[0][3] == 256 // factor


def test_features_of_the_finest_level_pass_beside_the_coarse_ones(generator):
    """With the way through the coarse levels cut, the fine features still reach the output."""
    model = network_of("unet")
    with torch.no_grad():
        for refine in model.refine:
            refine.weight.zero_()
    batch = batch_of(torch.randn(1, 10, 4, 16, 16, generator=generator).requires_grad_())
    model(batch).fields[0, 0, 0, 8, 8].backward()
    assert batch.given.grad[0, -1, :, 8, 8].abs().max() > 0
