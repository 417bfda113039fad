"""Resampling keeps means, constants and all waves that both grids resolve."""

from itertools import product

import numpy as np
import pytest

from data_shards.simulation_file.regrid import (
    linear_matrix,
    regrid,
    regrid_fluid,
    regrid_mask,
    wave_matrix,
)

SIZES = list(product((7, 8, 12, 33), (5, 8, 16, 64)))
SIDES = list(product((True, False), repeat=2))
# Fields are float32; the matrices are applied in float64.
FLOAT32 = 2e-6


def smooth(rows: int, columns: int, periodic: tuple[bool, bool]) -> np.ndarray:
    """Waves of numbers up to 2 per axis: resolved by 5 cells and more."""
    y = (np.arange(rows)[:, None] + 0.5) / rows
    x = (np.arange(columns)[None] + 0.5) / columns
    along_y = np.sin(4 * np.pi * y + 0.3) if periodic[0] else np.cos(2 * np.pi * y)
    along_x = np.cos(2 * np.pi * x + 0.7) if periodic[1] else np.cos(np.pi * x)
    return (1.5 + along_y * along_x + 0.5 * along_x).astype(np.float32)


@pytest.mark.parametrize(("source", "result"), SIZES)
@pytest.mark.parametrize("periodic", [True, False])
def test_constants_and_means_stay(source: int, result: int, periodic: bool) -> None:
    matrix = wave_matrix(source, result, periodic)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(matrix.sum(0), result / source, atol=1e-12)


@pytest.mark.parametrize("periodic", SIDES)
@pytest.mark.parametrize("shape", [(5, 5), (16, 16), (64, 7), (9, 40)])
def test_resolved_waves_lie_where_they_lay(
    periodic: tuple[bool, bool], shape: tuple[int, int]
) -> None:
    there = regrid(smooth(12, 20, periodic), shape, periodic)
    np.testing.assert_allclose(there, smooth(*shape, periodic), atol=FLOAT32)


@pytest.mark.parametrize("periodic", SIDES)
@pytest.mark.parametrize("shape", [(16, 16), (6, 6)])
def test_there_and_back_is_the_identity_for_resolved_waves(
    periodic: tuple[bool, bool], shape: tuple[int, int]
) -> None:
    field = smooth(12, 20, periodic)
    back = regrid(regrid(field, shape, periodic), field.shape, periodic)
    np.testing.assert_allclose(back, field, atol=FLOAT32)


@pytest.mark.parametrize("periodic", SIDES)
def test_a_finer_grid_and_back_is_the_identity_for_any_field(
    periodic: tuple[bool, bool], rng: np.random.Generator
) -> None:
    for shape in ((9, 13), (8, 12), (9, 12)):
        field = rng.normal(size=(2, *shape)).astype(np.float32)
        back = regrid(regrid(field, (16, 32), periodic), shape, periodic)
        np.testing.assert_allclose(back, field, atol=1e-5)


def test_a_periodic_field_shifted_by_a_cell_is_resampled_shifted(rng: np.random.Generator) -> None:
    field = rng.normal(size=(8, 8)).astype(np.float32)
    fine = regrid(field, (16, 16), (True, True))
    moved = regrid(np.roll(field, 1, axis=1), (16, 16), (True, True))
    np.testing.assert_allclose(moved, np.roll(fine, 2, axis=1), atol=1e-5)


def test_the_same_grid_changes_nothing(rng: np.random.Generator) -> None:
    field = rng.normal(size=(3, 8, 8)).astype(np.float32)
    assert regrid(field, (8, 8), (True, False)) is field
    assert regrid_fluid(field, np.ones((8, 8)), np.ones((8, 8)), (True, False)) is field


@pytest.mark.parametrize("periodic", [True, False])
def test_linear_weights_are_shares(periodic: bool) -> None:
    for source, result in SIZES:
        matrix = linear_matrix(source, result, periodic)
        assert matrix.min() >= 0
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-12)


def test_linear_weights_go_on_across_periodic_sides_only() -> None:
    around = linear_matrix(8, 16, True)
    np.testing.assert_allclose(np.roll(around, (2, 1), axis=(0, 1)), around, atol=1e-12)
    ends = linear_matrix(8, 16, False)
    assert ends[0, 0] == ends[-1, -1] == 1


@pytest.mark.parametrize("shape", [(16, 24), (6, 6)])
def test_nothing_leaks_out_of_solid_cells(shape: tuple[int, int]) -> None:
    fluid = np.ones((12, 12), np.float32)
    fluid[4:8, 5:9] = 0
    field = np.where(fluid > 0, 3.0, -1e6).astype(np.float32)
    wanted = regrid_mask(fluid, shape, (False, False))
    assert 0 < wanted.sum() < wanted.size
    there = regrid_fluid(field, fluid, wanted, (False, False))
    np.testing.assert_allclose(there[wanted > 0], 3.0, rtol=1e-6)
    back = regrid_fluid(there, wanted, fluid, (False, False), background=field)
    np.testing.assert_allclose(back, field, rtol=1e-6)
