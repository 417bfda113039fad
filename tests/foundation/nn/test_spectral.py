"""Laws of the spectral convolution."""

import pytest
import torch

from foundation.nn.spectral import SpectralConvolution

WIDTH, MODES = 3, 3


@pytest.fixture
def layer(generator: torch.Generator) -> SpectralConvolution:
    layer = SpectralConvolution(WIDTH, MODES)
    torch.nn.init.normal_(layer.weight, generator=generator)
    return layer


def smooth(generator: torch.Generator, side: int) -> torch.Tensor:
    """A field without frequencies beyond 2, on a grid of any size."""
    at = 2 * torch.pi * torch.arange(side) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    waves = torch.randn(4, 4, WIDTH, generator=generator)
    parts = [
        waves[p, q] * torch.cos((p - 2) * y + q * x + p + q)[..., None]
        for p in range(4)
        for q in range(3)
    ]
    return torch.stack(parts).sum(0)[None]


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize(("row", "column"), [(0, 1), (2, 0), (1, 2), (-1, 2), (-3, 1)])
def test_a_wave_comes_out_turned_and_scaled_by_its_modes_matrix(layer, row, column, side):
    at = 2 * torch.pi * torch.arange(side) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    field = torch.zeros(1, side, side, WIDTH)
    field[..., 0] = torch.cos(row * y + column * x)
    matrix = torch.complex(layer.weight[0], layer.weight[1]).view(2 * MODES, MODES, WIDTH, WIDTH)
    factor = matrix[row % (2 * MODES), column, 0]
    if column == 0:  # a real field holds (-row, 0) too; the two halves meet in the real part
        mirrored = matrix[-row % (2 * MODES), 0, 0].conj()
        factor = (factor + mirrored) / 2
    wave = torch.exp(1j * (row * y + column * x))
    expected = (wave[..., None] * factor).real
    torch.testing.assert_close(layer(field)[0], expected, rtol=1e-5, atol=1e-5)


def test_the_same_field_on_a_finer_grid_gives_the_same_field(layer, generator):
    state = generator.get_state()
    coarse = smooth(generator, 8)
    generator.set_state(state)
    fine = smooth(generator, 24)
    torch.testing.assert_close(fine[:, ::3, ::3], coarse, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer(fine)[:, ::3, ::3], layer(coarse), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shift", [(1, 0), (0, 3), (5, 2)])
def test_a_shifted_field_gives_the_shifted_field(layer, generator, shift):
    x = torch.randn(2, 8, 8, WIDTH, generator=generator)
    moved = layer(x.roll(shift, (1, 2)))
    torch.testing.assert_close(moved, layer(x).roll(shift, (1, 2)), rtol=1e-4, atol=1e-5)


def test_it_is_linear(layer, generator):
    x, y = torch.randn(2, 1, 8, 8, WIDTH, generator=generator)
    torch.testing.assert_close(
        layer(2 * x - 3 * y), 2 * layer(x) - 3 * layer(y), rtol=1e-4, atol=1e-4
    )


def test_three_axes_are_four_corners_of_the_spectrum(generator):
    """As FNO writes it for three axes: a matrix for each kept mode of each pair of signs."""
    layer = SpectralConvolution(WIDTH, 2, axes=3)
    torch.nn.init.normal_(layer.weight, generator=generator)
    x = torch.randn(2, 6, 5, 8, WIDTH, generator=generator)
    spectrum = torch.fft.rfftn(x, dim=(1, 2, 3))
    mixed = torch.zeros_like(spectrum)
    matrix = torch.complex(layer.weight[0], layer.weight[1]).view(4, 4, 2, WIDTH, WIDTH)
    low, high = slice(None, 2), slice(-2, None)
    for first in (low, high):
        for second in (low, high):
            corner = torch.einsum(
                "bijkd,ijkde->bijke", spectrum[:, first, second, :2], matrix[first, second]
            )
            mixed[:, first, second, :2] = corner
    expected = torch.fft.irfftn(mixed, s=(6, 5, 8), dim=(1, 2, 3))
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_identity_matrices_keep_the_low_modes_and_nothing_else(generator):
    layer = SpectralConvolution(WIDTH, MODES)
    with torch.no_grad():
        layer.weight[0] = torch.eye(WIDTH)
        layer.weight[1] = 0
    rough = torch.randn(1, 8, 8, WIDTH, generator=generator)
    once = layer(rough)
    spectrum = torch.fft.rfft2(once - rough, dim=(1, 2))
    kept = torch.tensor([0, 1, 2, -2, -1])  # -3 has no partner at column 0 and is halved there
    assert spectrum[:, kept][:, :, :MODES].abs().max() < 1e-5
    assert torch.fft.rfft2(once, dim=(1, 2))[:, :, MODES:].abs().max() < 1e-5


def test_all_modes_fit_on_the_smallest_grid(generator):
    layer = SpectralConvolution(WIDTH, 4)
    layer.reset(generator)
    assert layer(torch.randn(1, 8, 8, WIDTH, generator=generator)).shape == (1, 8, 8, WIDTH)


def test_initial_weights_are_positive_and_below_the_published_bound(generator):
    layer = SpectralConvolution(WIDTH, MODES)
    layer.reset(generator)
    bound = 1 / WIDTH**2
    assert 0 <= layer.weight.min() < 0.1 * bound
    assert 0.9 * bound < layer.weight.max() <= bound
