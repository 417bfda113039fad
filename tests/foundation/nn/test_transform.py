"""Transforms by matrices against torch's fast ones, and by what makes them transforms."""

import pytest
import torch

from foundation.nn.transform import from_modes, to_modes

GRIDS = [(8, 8), (16, 16), (6, 10), (7, 5), (5, 8)]
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of at most 16 terms twice


def corner(x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Lowest modes (B, M, 2, K, D) by torch's transform."""
    spectrum = torch.fft.rfft2(x, dim=(1, 2), norm="ortho")[:, :rows, :columns]
    return torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("keep", [2, 100])
def test_lower_modes_are_those_of_a_fast_transform(grid, keep, generator):
    x = torch.randn(2, *grid, 3, generator=generator)
    kept = min(keep, grid[0]), min(keep, grid[1] // 2 + 1)
    torch.testing.assert_close(to_modes(x, *kept), corner(x, *kept), **ROUNDING)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("keep", [2, 100])
def test_fields_of_any_modes_are_those_of_a_fast_transform(grid, keep, generator):
    """Of modes that belong to no real field, too: their imaginary means are dropped alike."""
    kept = min(keep, grid[0]), min(keep, grid[1] // 2 + 1)
    modes = torch.randn(2, kept[0], 2, kept[1], 3, generator=generator)
    spectrum = torch.zeros(2, grid[0], grid[1] // 2 + 1, 3, dtype=torch.complex64)
    complex_modes = torch.view_as_complex(modes.permute(0, 1, 3, 4, 2).contiguous())
    spectrum[:, : kept[0], : kept[1]] = complex_modes
    expected = torch.fft.irfft2(spectrum, s=grid, dim=(1, 2), norm="ortho")
    torch.testing.assert_close(from_modes(modes, *grid), expected, **ROUNDING)


@pytest.mark.parametrize("grid", GRIDS)
def test_all_modes_give_the_field_back(grid, generator):
    x = torch.randn(2, *grid, 3, generator=generator)
    again = from_modes(to_modes(x, grid[0], grid[1] // 2 + 1), *grid)
    torch.testing.assert_close(again, x, **ROUNDING)


def test_gradients_are_those_of_a_fast_transform(generator):
    x = torch.randn(2, 6, 8, 3, generator=generator, requires_grad=True)
    weights = torch.randn(2, 4, 2, 3, 3, generator=generator)
    ours, theirs = (
        torch.autograd.grad((modes(x, 4, 3) * weights).sum(), x)[0] for modes in (to_modes, corner)
    )
    torch.testing.assert_close(ours, theirs, **ROUNDING)


def test_a_forecast_does_not_spoil_the_training_that_follows(generator):
    """Matrices are kept: one made without gradients in sight serves with them, too."""
    x = torch.randn(1, 11, 13, 2, generator=generator)  # a grid of no other test
    with torch.inference_mode():
        to_modes(x, 3, 4)
    from_modes(to_modes(x.requires_grad_(), 3, 4), 11, 13).sum().backward()
    assert x.grad.abs().max() > 0
