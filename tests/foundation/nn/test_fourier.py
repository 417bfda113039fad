"""Laws of the Fourier layer."""

import pytest
import torch

from foundation.nn.fourier import FourierLayer

WIDTH, HEADS = 16, 4


@pytest.fixture
def layer(generator: torch.Generator) -> FourierLayer:
    layer = FourierLayer(WIDTH, HEADS, modes=32)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return layer


def complex_reference(layer: FourierLayer, x: torch.Tensor) -> torch.Tensor:
    """The same map written with complex numbers, mode by mode and head by head."""
    spectrum = torch.fft.rfft2(x, dim=(1, 2), norm="ortho")
    blocks = spectrum.reshape(*spectrum.shape[:3], HEADS, WIDTH // HEADS)
    weights = [torch.complex(w[0], w[1]) for w in (layer.weight_in, layer.weight_out)]
    biases = [torch.complex(b[0], b[1]) for b in (layer.bias_in, layer.bias_out)]
    hidden = torch.einsum("bhwgi,gio->bhwgo", blocks, weights[0]) + biases[0]
    gelu = torch.nn.functional.gelu
    hidden = torch.complex(gelu(hidden.real), gelu(hidden.imag))
    out = torch.einsum("bhwgi,gio->bhwgo", hidden, weights[1]) + biases[1]
    out = out.reshape(spectrum.shape)
    return x + torch.fft.irfft2(out, s=x.shape[1:3], dim=(1, 2), norm="ortho")


def test_real_matrix_form_equals_complex_arithmetic(layer, generator):
    x = torch.randn(2, 8, 6, WIDTH, generator=generator)
    # float32: two forms of the same sums of 4 products
    torch.testing.assert_close(layer(x), complex_reference(layer, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("modes", [1, 2, 4])
def test_modes_beyond_the_kept_corner_pass_through_unchanged(generator, modes):
    layer = FourierLayer(WIDTH, HEADS, modes)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x = torch.randn(1, 8, 8, WIDTH, generator=generator)
    change = torch.fft.rfft2(layer(x) - x, dim=(1, 2), norm="ortho")
    scale = change.abs().max()
    assert change[:, modes:, modes:].abs().max() < 1e-5 * scale
    assert change[:, :modes, :modes].abs().max() == scale


def test_initial_weights_are_positive_and_below_the_published_bound(generator):
    layer = FourierLayer(WIDTH, HEADS, 32)
    layer.reset(generator)
    bound = 1 / (WIDTH // HEADS) ** 2
    for parameter in layer.parameters():
        assert parameter.min() >= 0
        assert parameter.max() <= bound
        assert parameter.max() > 0.8 * bound
