"""Laws of the stirred open channel: stirring, drive, and that it is steady and broadband."""

import numpy as np
import pytest
import torch

from data_shards.box.grid import Box
from data_shards.box.projection import Projection
from data_shards.catalogue import load_card
from data_shards.generate import simulate
from data_shards.generate.box_frames import one_thread
from data_shards.generate.open_channel import (
    OpenChannelOptions,
    channel,
    developed,
    generate,
    spin_up_cells,
)
from data_shards.generate.stirring import Stirring


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


def stirring(box, seed=0, waves=6, memory=0.5):
    return Stirring(np.random.default_rng(seed), box, (1.0, 2.0), waves, memory)


def test_stirring_is_the_same_on_every_grid_and_in_whatever_order_times_are_asked():
    """Every third place of a grid three times as fine is a place of the coarse one."""
    coarse, fine = channel(4), channel(12)
    first, second = stirring(coarse), stirring(fine)
    late, early = first(1.33), first(0.2)
    same = second(0.2), second(1.33)
    for before, after in zip((early, late), same, strict=True):
        torch.testing.assert_close(before[0], after[0, 1::3, 1::3, ::3])
        torch.testing.assert_close(before[1], after[1, 1::3, ::3, 1::3])
        torch.testing.assert_close(before[2], after[2, ::3, 1::3, 1::3])
    torch.testing.assert_close(first.on(fine)(1.33), same[1])


def test_stirring_has_unit_mean_square_and_forgets():
    """Over many times; 12 amplitudes per draw, draws of one memory apart nearly independent."""
    box = Box((4, 4, 4), (1.0, 1.0, 1.0))
    push = stirring(box, memory=0.5)
    fields = torch.stack([push(0.5 * n) for n in range(100)])
    square = (fields**2).sum(dim=1).mean(dim=(1, 2, 3))
    # A sum of 12 squares of mean 1 / 12 has a relative spread of sqrt(2 / 12) per draw.
    assert float(square.mean()) == pytest.approx(1.0, abs=5 * 1.5 * 0.41 / 100**0.5)
    flat = fields.flatten(1)
    over_one = float((flat[1:] * flat[:-1]).mean() / (flat**2).mean())
    assert over_one == pytest.approx(np.exp(-1), abs=0.15)


def test_stirring_pushes_across_its_waves():
    """No wave is a gradient: on a periodic box all of it is left after a projection."""
    box = Box((16, 16, 16), (1.0, 1.0, 1.0))
    push = stirring(box)(0.3)
    left, _ = Projection(box)(push)
    assert float((push - left).norm() / push.norm()) < 0.01  # differences see waves a little off


@pytest.fixture(scope="module")
def frames():
    """A short channel on a coarse grid, developed; the laws below hold at every size."""
    card = load_card("open_channel_3d")
    options = card.generator_options | {
        "spin_up": 6.0, "settle": 0.2, "spin_up_resolution": 8, "solver_resolution": 16,
    }  # fmt: skip
    few = {"frames": 4, "context_frames": 2, "rollout_frames": 2}
    card = card.model_copy(update={"generator_options": options, **few})
    return simulate(card, split="train", index=0, seed=0, resolution=16)


def test_stored_faces_have_no_divergence_and_none_goes_through_the_wall(frames):
    u, v, w = (frames.fields[:, c].astype(np.float64) for c in range(3))
    divergence = sum(
        (np.roll(field, -1, axis) - field) * 16 for field, axis in ((u, 3), (v, 2), (w, 1))
    )
    speed = np.sqrt((frames.fields[:, :3] ** 2).sum(axis=1).mean())
    # Largest entry over speed per cell: what float32 rounds off, 6e-8 times a few velocities.
    assert np.abs(divergence).max() < 2e-6 * speed * 16
    assert (v[:, :, 0] == 0).all()


def test_the_mean_flow_is_held_and_grows_from_the_wall(frames):
    bulk = frames.parameters["bulk_velocity"]
    assert frames.fields[:, 0].mean() == pytest.approx(bulk, rel=0.1)
    profile = frames.fields[:, 0].mean(axis=(0, 1, 3))
    assert profile[0] < 0.85 * bulk  # half a cell above the wall
    assert profile[0] < profile[1:].min()


def test_the_pressure_has_no_mean(frames):
    np.testing.assert_allclose(frames.fields[:, 3].mean(axis=(1, 2, 3)), 0, atol=1e-6)


def test_a_coarser_output_is_the_same_flow_without_divergence():
    card = load_card("open_channel_3d")
    options = card.generator_options | {
        "spin_up": 0.5, "settle": 0.1, "spin_up_resolution": 8, "solver_resolution": 16,
    }  # fmt: skip
    card = card.model_copy(update={"generator_options": options, "frames": 1})
    fine, coarse = (
        generate(card, np.random.default_rng(0), index=0, resolution=cells) for cells in (16, 8)
    )
    assert fine.parameters == coarse.parameters
    u = fine.fields[0, 0].astype(float)
    fluxes = u.reshape(8, 2, 8, 2, 16)[..., ::2].mean(axis=(1, 3))
    np.testing.assert_allclose(coarse.fields[0, 0], fluxes, atol=1e-6)


@pytest.mark.parametrize(
    ("cells", "most", "coarse"),
    [(32, 16, 16), (128, 64, 64), (40, 16, 10), (37, 16, 37), (8, 16, 8)],
)
def test_the_spin_up_has_a_grid_that_divides_the_solvers(cells, most, coarse):
    assert spin_up_cells(cells, most) == coarse


def shares_of_energy(flow):
    """Shares of the fluctuations' energy by waves along x and z, 1, 2, 3, ... per side."""
    velocity = flow.box.at_centres(flow.velocity)
    around = velocity - velocity.mean(dim=(-1, -3), keepdim=True)
    energy = torch.fft.fftn(around, dim=(-3, -1)).abs().square().sum(dim=(0, 2))
    number = torch.fft.fftfreq(energy.shape[0], 1 / energy.shape[0])
    ring = torch.hypot(number[:, None], number[None, :]).round().long()
    shares = torch.zeros(int(ring.max()) + 1, dtype=torch.float64)
    shares.index_add_(0, ring.flatten(), energy.flatten())
    return (shares / shares.sum())[1:]


@pytest.mark.slow
def test_the_small_channel_is_broadband_and_statistically_steady():
    """At 32 cells, over 8 times in which the large eddies turn.

    Work and dissipation balance within what is sampled; energy has no trend; the spectrum falls
    monotonously over an order of wave numbers, without a pile at the grid's end.
    """
    card = load_card("open_channel_3d")
    options = OpenChannelOptions.read(card.generator_options, "card")
    flow = developed(options, np.random.default_rng(0), 1e-3, 1.0, 32)
    kinetic, work, lost, spectra = [], [], [], []
    for _ in range(40):
        flow.advance(0.2)
        v = flow.velocity
        kinetic.append(0.5 * float((v**2).sum(0).mean()))
        work.append(float((v * flow.drive(flow.time)).sum(0).mean()))
        lost.append(-flow.viscosity * float((v * flow.box.laplacian(v)).sum(0).mean()))
        spectra.append(shares_of_energy(flow))
    gained = (kinetic[-1] - kinetic[0]) / 7.8
    assert np.mean(work) - np.mean(lost) == pytest.approx(gained, abs=0.1 * np.mean(lost))
    assert np.mean(lost) == pytest.approx(np.mean(work), rel=0.2)
    first, second = np.mean(kinetic[:20]), np.mean(kinetic[20:])
    assert first == pytest.approx(second, rel=0.15)
    spectrum = torch.stack(spectra).mean(0)[:15]
    assert bool((spectrum[1:] < spectrum[:-1]).all())
    assert float(spectrum[9]) > 1e-4  # ten waves a side are alive
    assert float(spectrum[14]) < 0.01 * float(spectrum[1])
