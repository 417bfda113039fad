"""Laws of the leap-frog solver and of the media that waves cross."""

from itertools import pairwise
from math import asin, cos, pi, sin, sqrt

import numpy as np
import pytest

from data_shards.catalogue import load_card
from data_shards.errors import UserError
from data_shards.generate.leapfrog import solve
from data_shards.generate.solution import Array, block_average
from data_shards.generate.wave import (
    BumpOptions,
    LayerOptions,
    PulseOptions,
    WaveOptions,
    displacement,
    draw_bumps,
    draw_layers,
    draw_pulses,
    generate,
    mean_slowness2,
)


def centres(cells: int, margin: int = 0) -> Array:
    return (np.arange(-margin, cells + margin) + 0.5) / cells


def pulse(x: Array, at: float, width: float) -> Array:
    return np.exp(-((x - at) ** 2) / (2 * width**2))


def run(start: Array, slowness2: Array | None = None, **changes: object) -> Array:
    slowness2 = np.ones(start.shape) if slowness2 is None else slowness2
    options = {"lengths": (1.0, 1.0), "num_frames": 2, "frame_interval": 0.1} | changes
    return solve(start, slowness2, **options)


def energy(before: Array, after: Array, slowness2: Array, dt: float, cell: float) -> float:
    """The quantity that leap-frog keeps, between two steps."""
    kinetic = (slowness2 * ((after - before) / dt) ** 2).sum()
    strain = sum((np.diff(before, axis=k) * np.diff(after, axis=k)).sum() for k in (0, 1))
    return float(kinetic + strain / cell**2)


def test_reflecting_sides_keep_the_discrete_energy_to_round_off(rng):
    cells, dt = 24, 0.01
    slowness2 = rng.uniform(0.5, 2, (cells, cells))
    frames = run(rng.standard_normal((cells, cells)), slowness2, num_frames=200, frame_interval=dt)
    energies = [energy(a, b, slowness2, dt, 1 / cells) for a, b in pairwise(frames)]
    np.testing.assert_allclose(energies, energies[0], rtol=1e-12)


def test_standing_wave_keeps_its_shape_and_swings_at_the_discrete_frequency():
    cells, dt, m, n = 16, 0.02, 2, 3
    x = centres(cells)
    mode = np.cos(n * pi * x)[:, None] * np.cos(m * pi * x)[None, :]
    frames = run(mode, num_frames=30, frame_interval=dt)
    stiffness = sum(4 * cells**2 * sin(k * pi / (2 * cells)) ** 2 for k in (m, n))
    frequency = 2 / dt * asin(dt / 2 * sqrt(stiffness))
    swing = np.cos(frequency * dt * np.arange(30))
    np.testing.assert_allclose(frames, swing[:, None, None] * mode, atol=1e-12)


def test_standing_wave_converges_at_second_order_to_the_exact_one():
    errors = []
    for cells in (16, 32, 64):
        x = centres(cells)
        mode = np.cos(pi * x)[:, None] * np.cos(2 * pi * x)[None, :]
        end = run(mode, frame_interval=0.7)[-1]
        errors.append(np.abs(end - cos(sqrt(5) * pi * 0.7) * mode).max())
    assert np.log2(errors[-2] / errors[-1]) == pytest.approx(2, abs=0.1)


def test_released_pulse_parts_into_two_halves_that_travel_at_the_speed_of_sound():
    errors = []
    for cells in (128, 256):
        x = centres(cells)
        end = run(pulse(x, 0.5, 0.04)[None], np.full((1, cells), 0.25), frame_interval=0.1)[-1, 0]
        exact = 0.5 * pulse(x, 0.3, 0.04) + 0.5 * pulse(x, 0.7, 0.04)  # c = 2
        errors.append(np.abs(end - exact).max())
    assert errors[-1] < 0.01
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("slow", [0.5, 0.25])
def test_interface_passes_and_returns_the_fractions_of_normal_incidence(slow):
    cells = 1024
    x = centres(cells)
    slowness2 = np.where(x < 0.5, 1.0, slow**-2)[None]
    end = run(pulse(x, 0.3, 0.02)[None], slowness2, frame_interval=0.35)[-1, 0]
    passed, returned = 0.5 + 0.15 * slow, 0.5 - 0.15  # it arrives at t = 0.2
    # u and its slope are continuous: 1 + r = t and (1 - r) / 1 = t / slow, of the half pulse.
    assert end[int(passed * cells)] == pytest.approx(0.5 * 2 * slow / (1 + slow), rel=0.01)
    assert end[int(returned * cells)] == pytest.approx(0.5 * (slow - 1) / (1 + slow), rel=0.01)


def test_absorbing_frame_gives_what_an_endless_medium_gives():
    cells, frame, far = 64, 12, 160
    options = {"num_frames": 8, "frame_interval": 0.3}
    starts = [
        np.outer(pulse(centres(cells, m), 0.6, 0.05), pulse(centres(cells, m), 0.3, 0.05))
        for m in (frame, far)
    ]
    ours = run(starts[0], absorber=frame, **options)
    wide = 1 + 2 * far / cells  # nothing comes back from that far within the time
    endless = run(starts[1], lengths=(wide, wide), **options)[:, far:-far, far:-far]
    error = np.linalg.norm(ours - endless, axis=(1, 2)) / np.linalg.norm(endless[0])
    assert error.max() < 3e-4  # 12 cells resolve the damping's rise to about 1e-4
    assert np.linalg.norm(endless[4]) > 50 * 3e-4 * np.linalg.norm(endless[0])  # more than that


def test_nothing_is_faster_than_the_fastest_medium():
    cells = 128
    x = centres(cells)
    start = np.where(np.abs(x - 0.2) < 0.05, 1.0, 0.0)[None]
    end = run(start, np.full((1, cells), 1.0), frame_interval=0.4)[-1, 0]
    # Steps are a little shorter than a cell's transit, so the numerical front is a little ahead.
    assert np.abs(end[x > 0.2 + 0.05 + 0.4 + 0.1]).max() < 1e-5
    assert np.abs(end[np.abs(x - 0.6) < 0.05]).max() > 0.4


def test_mirror_image_of_pulse_and_medium_gives_the_mirror_image(rng):
    slowness2, start = rng.uniform(0.5, 2, (36, 36)), rng.standard_normal((36, 36))
    end = run(start, slowness2, absorber=6)[-1]
    mirrored = run(start[:, ::-1].copy(), slowness2[:, ::-1].copy(), absorber=6)[-1]
    np.testing.assert_allclose(mirrored[:, ::-1], end, atol=1e-12)
    turned = run(start.T.copy(), slowness2.T.copy(), absorber=6)[-1]
    np.testing.assert_allclose(turned.T, end, atol=1e-12)


def test_cell_with_an_interface_inside_has_the_mean_squared_slowness():
    def medium(x: Array, y: Array) -> Array:
        return np.where(x + 0 * y < 0.125, 1.0, 2.0)

    slowness2 = mean_slowness2(medium, centres(4, 1), 0.25)
    np.testing.assert_allclose(slowness2[0], [1, (1 + 0.25) / 2, 0.25, 0.25, 0.25, 0.25])


def test_layers_lie_in_order_and_never_meet(rng):
    x = np.linspace(0, 1, 200)
    for _ in range(10):
        medium, parameters = draw_layers(rng, LayerOptions())
        speed = medium(x[None, :], x[:, None])
        assert len(np.unique(speed)) == parameters["layers"]
        changes = (np.diff(speed, axis=0) != 0).sum(axis=0)
        assert (changes == int(parameters["layers"]) - 1).all()
        assert speed.min() == parameters["slowest"] >= 2000
        assert speed.max() == parameters["fastest"] <= 5000
        assert (speed != speed[:, :1]).any()  # interfaces are curved


def test_bumps_rise_from_the_level(rng):
    x = np.linspace(0, 1, 200)
    medium, parameters = draw_bumps(rng, BumpOptions())
    speed = medium(x[None, :], x[:, None])
    assert 1500 <= parameters["level"] <= speed.min() + 1e-9
    far_away = np.array([[9.0]])
    assert medium(far_away, far_away)[0, 0] == parameters["level"]
    assert speed.max() <= parameters["level"] + 4 * parameters["highest_bump"]


def test_pulses_are_in_their_ranges_and_apart_and_of_height_one(rng):
    numbers = set()
    for _ in range(40):
        places, widths = draw_pulses(rng, PulseOptions())
        numbers.add(len(widths))
        assert ((places >= 1 / 6) & (places <= 5 / 6)).all()
        assert ((widths >= 0.039) & (widths <= 0.156)).all()
        gaps = np.linalg.norm(places[:, None] - places[None], axis=-1)
        assert gaps[~np.eye(len(widths), dtype=bool)].min() >= 0.12
    assert numbers == {2, 3, 4, 5, 6}
    one = displacement(np.array([0.2, 0.5, 0.7]), np.array([[0.5, 0.2]]), np.array([0.1]))
    assert one[0, 1] == pytest.approx(1)  # rows are y, columns x
    assert one[0, 0] == pytest.approx(np.exp(-4.5))


def test_pulses_that_do_not_fit_are_an_arithmetic_error(rng):
    with pytest.raises(ArithmeticError, match="do not fit"):
        draw_pulses(rng, PulseOptions(apart=2.0))


@pytest.mark.parametrize("media", [{}, {"layers": {}, "bumps": {}}])
def test_exactly_one_medium_is_asked_for(media):
    with pytest.raises(UserError, match="exactly one"):
        WaveOptions.read({"box": 1.0, **media}, "card")


@pytest.mark.parametrize("name", ["wave_layer", "wave_gauss"])
def test_trajectory_is_one_wave_at_every_resolution_and_leaves_the_box(name):
    card = load_card(name)
    options = card.generator_options | {"solver_resolution": 64}
    card = card.model_copy(update={"generator_options": options})
    fine, same, finer = (
        generate(card, np.random.default_rng(9), index=0, resolution=cells)
        for cells in (64, 32, 128)
    )
    np.testing.assert_allclose(block_average(fine.fields, 2), same.fields, atol=1e-12)
    assert fine.parameters == finer.parameters
    gap = np.linalg.norm(block_average(finer.fields, 2) - fine.fields)
    assert gap < 0.05 * np.linalg.norm(fine.fields)  # 64 cells are 1-4 % off, other waves above 1
    sizes = np.sqrt((fine.fields**2).sum(axis=(1, 2, 3)))
    assert sizes[-1] < 0.3 * sizes[0]
