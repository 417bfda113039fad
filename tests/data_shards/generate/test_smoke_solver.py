"""Laws of the smoke solver."""

from itertools import pairwise
from math import exp, pi

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.generate.smoke import SmokeBox, draw_waves, generate, smooth_noise
from data_shards.generate.solution import Array, block_average

SIDE = 32.0


def noise(seed: int, cells: int) -> Array:
    waves = draw_waves(np.random.default_rng(seed), (SIDE, SIDE), 11.0, 6.0)
    return np.abs(smooth_noise(waves, (cells, cells)))


def box_of(smoke: Array, **changes: float) -> SmokeBox:
    options = {"viscosity": 0.01, "buoyancy": 0.5, "step": 1.5} | changes
    return SmokeBox(smoke, (SIDE, SIDE), **options)


def plume(cells: int, at: float = SIDE / 2) -> Array:
    x = (np.arange(cells) + 0.5) * SIDE / cells
    return np.exp(-((x[None, :] - at) ** 2 + (x[:, None] - SIDE / 4) ** 2) / (2 * 4.0**2))


def test_velocity_has_no_divergence_and_stays_in_the_box():
    box = box_of(noise(0, 48))
    box.advance(20)
    assert np.abs(box.u).max() > 0.1
    scale = np.abs(box.v).max() * 48 / SIDE  # of the slopes whose sum vanishes
    assert np.abs(box.divergence()).max() < 1e-12 * scale
    for side in (box.u[:, 0], box.u[:, -1], box.v[0], box.v[-1]):
        assert np.abs(side).max() == 0


def test_density_stays_within_its_first_extremes():
    box = box_of(noise(1, 48))
    low, high = box.smoke.min(), box.smoke.max()
    for _ in range(20):
        box.advance(1)
        assert low <= box.smoke.min()
        assert box.smoke.max() <= high * (1 + 1e-15)  # weights that sum to 1 up to round-off


def test_smoke_without_buoyancy_rests_for_ever():
    smoke = noise(2, 32)
    box = box_of(smoke.copy(), buoyancy=0.0)
    box.advance(5)
    np.testing.assert_array_equal(box.smoke, smoke)
    assert np.abs(box.u).max() == np.abs(box.v).max() == 0


def test_pressure_carries_smoke_that_varies_with_height_only():
    heights = np.linspace(1, 2, 32)[:, None] * np.ones(32)
    box = box_of(heights.copy())
    box.advance(5)
    assert np.abs(box.v).max() < 1e-12
    np.testing.assert_allclose(box.smoke, heights, atol=1e-12)


def test_smoke_rises():
    box = box_of(plume(48), step=0.5)
    height = (np.arange(48) + 0.5)[:, None] * SIDE / 48
    before = (box.smoke * height).sum() / box.smoke.sum()
    box.advance(12)
    after = (box.smoke * height).sum() / box.smoke.sum()
    # Far below b s t^2 / 2 = 9: the air around has to move too.
    assert 0.5 < after - before < 9
    assert box.v[12, 24] > 0.3


def test_mirror_image_of_the_smoke_gives_the_mirror_image_of_the_flow():
    smoke = noise(3, 40)
    box, mirrored = box_of(smoke.copy()), box_of(smoke[:, ::-1].copy())
    box.advance(12)
    mirrored.advance(12)
    np.testing.assert_allclose(mirrored.smoke[:, ::-1], box.smoke, atol=1e-9)
    np.testing.assert_allclose(-mirrored.u[:, ::-1], box.u, atol=1e-9)
    np.testing.assert_allclose(mirrored.v[:, ::-1], box.v, atol=1e-9)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 2), (5, 20)])
def test_viscosity_alone_damps_shear_at_the_exact_rate(m, n):
    cells, viscosity = 32, 0.2
    box = box_of(np.zeros((cells, cells)), viscosity=viscosity)
    faces, centres = np.arange(cells + 1) / cells, (np.arange(cells) + 0.5) / cells
    mode = np.sin(n * pi * centres)[:, None] * np.sin(m * pi * faces)[None, :]
    box.u[:], box.v[:] = mode, mode.T
    box.diffuse()
    decay = exp(-viscosity * 1.5 * (pi / SIDE) ** 2 * (m**2 + n**2))
    np.testing.assert_allclose(box.u, decay * mode, atol=1e-14)
    np.testing.assert_allclose(box.v, decay * mode.T, atol=1e-14)


def test_flow_converges_at_first_order_when_step_and_cell_shrink_together():
    ends = []
    for cells in (32, 64, 128, 256):
        box = box_of(plume(cells, at=13.0), step=16.0 / cells, viscosity=0.05)
        box.advance(cells // 4)  # until t = 4
        ends.append(block_average(box.at_centres(), cells // 32))
    gaps = [np.linalg.norm(a - b) for a, b in pairwise(ends)]
    assert np.log2(gaps[-2] / gaps[-1]) == pytest.approx(1, abs=0.3)
    assert gaps[-1] < 0.03 * np.linalg.norm(ends[-1])


def test_initial_noise_is_one_field_on_every_grid_with_mean_zero_and_variance_one():
    waves = draw_waves(np.random.default_rng(4), (SIDE, SIDE), 11.0, 6.0)
    fine, coarse = smooth_noise(waves, (96, 96)), smooth_noise(waves, (32, 32))
    np.testing.assert_allclose(fine[1::3, 1::3], coarse, atol=1e-12)  # coinciding centres
    assert coarse.mean() == pytest.approx(0, abs=1e-12)
    assert coarse.var() == pytest.approx(1)
    other = smooth_noise(draw_waves(np.random.default_rng(5), (SIDE, SIDE), 11.0, 6.0), (32, 32))
    assert np.abs(other - coarse).max() > 0.5


def test_noise_longer_than_the_cut_is_left_out_and_short_waves_fall_steeply():
    waves = draw_waves(np.random.default_rng(6), (SIDE, SIDE), 5.0, 2.0)
    power = np.abs(waves) ** 2
    middle = len(waves) // 2
    # (5 n / 32)^2 > 0.1 from n = 3 on (2, 1 is 0.12 already).
    assert power[middle, middle : middle + 3].max() == 0
    assert power[middle, middle + 3] > 0
    assert power[middle + 1, middle + 2] > 0


@pytest.mark.parametrize("name", ["pdearena_ns", "pdearena_ns_cond"])
def test_coarse_trajectories_are_averages_of_fine_ones(name):
    card = load_card(name)
    options = card.generator_options | {"solver_resolution": 64}
    card = card.model_copy(update={"generator_options": options, "frames": 3})
    fine, coarse = (
        generate(card, np.random.default_rng(7), index=0, resolution=cells) for cells in (64, 32)
    )
    assert fine.parameters == coarse.parameters
    np.testing.assert_allclose(block_average(fine.fields, 2), coarse.fields, atol=1e-12)


def test_conditioned_corpus_shows_every_step_of_the_plain_ones_flow():
    cards = [load_card(name) for name in ("pdearena_ns", "pdearena_ns_cond")]
    plain, every = (
        generate(
            card.model_copy(
                update={
                    "generator_options": card.generator_options | {"buoyancy": (0.5, 0.5)},
                    "frames": frames,
                }
            ),
            np.random.default_rng(8),
            index=0,
            resolution=32,
        )
        for card, frames in zip(cards, (3, 9), strict=True)
    )
    np.testing.assert_array_equal(plain.fields, every.fields[::4])
    assert cards[0].dt_s == 4 * cards[1].dt_s == 4 * cards[1].generator_options["step"]
