"""Laws of the spectral errors: closed forms, Parseval, where the bands end."""

import math

import pytest
import torch
from forecasts import forecast_of
from torch import Tensor

from evaluation.metrics.registry import measure
from evaluation.metrics.spectral import shell_energy, shell_of_modes

BANDS = ("spectral_low", "spectral_mid", "spectral_high")


def _wave(k_x: int, k_y: int = 0, side: int = 32) -> Tensor:
    """cos(2 pi (k_x x + k_y y)) as (1, 1, 1, side, side)."""
    places = torch.arange(side) / side
    phase = 2 * math.pi * (k_x * places + k_y * places[:, None])
    return torch.cos(phase)[None, None, None]


def test_each_band_is_the_ratio_of_its_own_amplitudes() -> None:
    true = 3 * _wave(2) + 2 * _wave(8) + 1 * _wave(14)
    pred = 3.3 * _wave(2) + 2.4 * _wave(8) + 0.5 * _wave(14)
    values = measure(BANDS, forecast_of(pred, true))
    # 1e-4: the share 1e-6 of the whole energy in the denominator, 14 times that of the band
    torch.testing.assert_close(
        torch.stack([values[name] for name in BANDS]).flatten(),
        torch.tensor([0.1, 0.2, 0.5]),
        rtol=1e-4,
        atol=0,
    )


def test_a_forecast_without_small_scales_errs_by_one_there_and_by_nothing_elsewhere() -> None:
    true = _wave(1) + _wave(0, 15)
    values = measure(BANDS, forecast_of(_wave(1), true))
    assert values["spectral_high"].item() == pytest.approx(1.0, abs=1e-4)
    assert values["spectral_low"].item() == pytest.approx(0.0, abs=1e-6)


def test_an_error_where_the_truth_has_nothing_is_measured_against_a_millionth() -> None:
    pred = _wave(1) + 0.01 * _wave(8)
    value = measure(BANDS, forecast_of(pred, _wave(1)))["spectral_mid"]
    assert value.item() == pytest.approx(0.01 / 1e-3, rel=1e-3)  # float32 differences of 1


@pytest.mark.parametrize(
    ("k_x", "k_y", "band"),
    [
        (0, 0, "spectral_low"),
        (4, 2, "spectral_low"),  # |k| = 4.47
        (3, 4, "spectral_mid"),  # |k| = 5
        (-5, 0, "spectral_mid"),
        (0, 12, "spectral_mid"),
        (5, 12, "spectral_high"),  # |k| = 13
        (16, 16, "spectral_high"),
    ],
)
def test_bands_end_at_the_wave_numbers_of_the_published_text(k_x: int, k_y: int, band: str) -> None:
    true = _wave(1) + _wave(7) + _wave(14)
    values = measure(BANDS, forecast_of(true + _wave(k_x, k_y), true))
    assert [name for name in BANDS if values[name] > 1e-3] == [band]


def test_energies_of_all_shells_sum_to_that_of_the_field(generator: torch.Generator) -> None:
    fields = torch.randn(2, 3, 2, 12, 20, generator=generator)
    # 1e-5: float32 sums
    torch.testing.assert_close(
        shell_energy(fields).sum(-1), fields.square().sum((1, 3, 4)), rtol=1e-5, atol=0
    )


def test_shells_are_symmetric_and_the_mean_is_shell_zero() -> None:
    shells = shell_of_modes(8, 8)
    assert shells[0, 0] == 0
    assert (shells == 0).sum() == 1
    assert torch.equal(shells, shells.T)
    assert shells[0, 4] == 4


def test_in_three_dimensions_a_wave_is_in_the_shell_of_its_length() -> None:
    side = 16
    z, y, x = torch.meshgrid(*(torch.arange(side) / side,) * 3, indexing="ij")
    wave = torch.cos(2 * math.pi * (3 * x + 2 * y + 6 * z))[None, None, None]  # |k| = 7
    energy = shell_energy(wave)[0, 0]
    assert int(energy.argmax()) == 7
    torch.testing.assert_close(energy.sum(), wave.square().sum())
    assert energy[7] > 0.999 * energy.sum()


def test_a_box_of_one_slice_has_the_shells_of_the_plane() -> None:
    assert torch.equal(shell_of_modes(1, 6, 8)[0], shell_of_modes(6, 8))
