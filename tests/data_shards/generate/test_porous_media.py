"""Laws of random porous media: shares, gaps and connected pores."""

from math import pi

import numpy as np
import pytest
import scipy.ndimage

from data_shards.generate.porous_media import (
    distance,
    pore_size,
    random_field,
    sphere_packing,
    spheres,
    without_pockets,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("share", "diameter"), [(0.1, 0.4), (0.3, 0.25), (0.33, 0.2)])
def test_a_packing_has_the_share_that_was_asked_for(rng, share, diameter):
    solid = sphere_packing(rng, 48, share, diameter)
    one = pi * diameter**3 / 6
    # The nearest number of spheres, and what counting cells adds to it.
    assert abs(solid.mean() - share) < 0.5 * one + 0.01


def test_spheres_do_not_overlap_across_the_sides_either(rng):
    """As many parts as spheres, each as large as a sphere, on a grid that sees the gaps."""
    cells, diameter = 64, 0.3
    centres = np.array([[0.02, 0.5, 0.5], [0.98 - diameter, 0.5, 0.5], [0.5, 0.97, 0.01]])
    solid = spheres(centres, diameter, cells)
    assert solid.sum() / cells**3 == pytest.approx(3 * pi * diameter**3 / 6, rel=0.01)
    assert distance(centres[:1], centres[1]) == pytest.approx([0.34])
    assert solid[32, 32, 63]  # the first one, seen through the side
    assert solid[0, 0, 32]


def test_spheres_that_find_no_room_are_refused(rng, monkeypatch):
    monkeypatch.setattr("data_shards.generate.porous_media.ATTEMPTS", 300)
    with pytest.raises(ArithmeticError, match=r"spheres of diameter 0.3 found room, .* lower it"):
        sphere_packing(rng, 16, 0.6, 0.3)


def test_a_random_field_has_its_share_exactly_and_its_length(rng):
    solid = random_field(rng, 32, 0.4, 0.25)
    assert solid.mean() == pytest.approx(0.4, abs=1 / 32**3)
    rough = random_field(rng, 32, 0.4, 0.1)
    # A coarser field has less surface; both close across the sides as well as inside.
    assert pore_size(solid) > 1.5 * pore_size(rough)
    for axis in range(3):
        jumps = (solid != np.roll(solid, 1, axis)).mean(
            axis=tuple(a for a in range(3) if a != axis)
        )
        assert jumps[0] < 2 * jumps.mean()


def test_pockets_are_filled_and_nothing_else():
    solid = np.zeros((8, 8, 8), np.bool_)
    solid[2:5, 2:5, 2:5] = True
    solid[3, 3, 3] = False  # a pocket
    solid[:, :, 6] = True
    solid[0, 0, 6] = False  # a hole through a wall: open pores, on both sides of it
    filled = without_pockets(solid)
    assert filled[3, 3, 3]
    assert (filled != solid).sum() == 1


def test_fluid_that_is_connected_through_the_sides_is_one():
    solid = np.zeros((6, 6, 6), np.bool_)
    solid[:, :, 2] = True  # columns 0, 1 and 3, 4, 5 meet through the side
    np.testing.assert_array_equal(without_pockets(solid), solid)
    solid[:, :, 5] = True  # now 0, 1 and 3, 4 do not; one of them stays
    assert without_pockets(solid).mean() == pytest.approx(4 / 6)


def test_a_random_medium_has_one_pore_space(rng):
    solid = without_pockets(random_field(rng, 24, 0.6, 0.15))
    tiled = np.tile(~solid, (2, 2, 2))  # what touches through the sides touches inside
    labels, _ = scipy.ndimage.label(tiled)
    cell = labels[12:36, 12:36, 12:36]
    sizes = np.bincount(cell[cell > 0])
    assert sizes.max() > 0.95 * sizes.sum()


def test_the_pore_size_of_a_slit_and_of_spheres():
    """4 V / A: twice the width of a slit, whose walls are no steps: a third of A is left out."""
    solid = np.ones((16, 16, 16), np.bool_)
    solid[:, 4:8] = False
    assert pore_size(solid) == pytest.approx(1.5 * 2 * 0.25)
    ball = spheres(np.array([[0.5, 0.5, 0.5]]), 0.6, 96)
    exact = 4 * (1 - pi * 0.6**3 / 6) / (pi * 0.6**2)
    assert pore_size(ball) == pytest.approx(exact, rel=0.02)
