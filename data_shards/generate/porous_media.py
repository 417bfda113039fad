"""Random porous media in a periodic cube of side 1: which cells are solid.

Axes: D slices (z), H rows (y), W columns (x) of N cells each.
Two kinds: spheres of one size that do not overlap, placed one by one wherever there is room
(random sequential addition, with periodic images, which reaches a solid share of .35), and the
cells in which a smooth Gaussian random field is large. Fluid that is cut off from the rest is
filled in.
"""

from math import pi

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from data_shards.generate.solution import Array

Cells = NDArray[np.bool_]
ATTEMPTS = 20_000  # places tried for spheres before there is no room


def sphere_packing(rng: np.random.Generator, cells: int, share: float, diameter: float) -> Cells:
    """Solid cells (N, N, N): centres inside spheres, as many as come nearest to a solid share.

    Args:
        rng: drawn from for every place that is tried.
        cells: N.
        share: solid share of the volume that is wanted.
        diameter: of the spheres.

    Raises:
        ArithmeticError: there is no room for so many.
    """
    count = max(1, round(share * 6 / (pi * diameter**3)))
    centres = np.empty((0, 3))
    for _ in range(ATTEMPTS):
        place = rng.random(3)
        if (distance(centres, place) >= diameter).all():
            centres = np.vstack([centres, place])
            if len(centres) == count:
                return spheres(centres, diameter, cells)
    raise ArithmeticError(
        f"{len(centres)} spheres of diameter {diameter:.3g} found room, {count} were wanted for a "
        f"solid share of {share:.3g}; lower it"
    )


def distance(places: Array, place: Array) -> Array:
    """From places (n, 3) to the nearest image of one, (n,)."""
    gap = places - place
    gap -= np.round(gap)
    return np.asarray(np.sqrt((gap**2).sum(axis=1)))


def spheres(centres: Array, diameter: float, cells: int) -> Cells:
    """Cells whose centre is inside one of the spheres, at centres (n, 3) along x, y, z."""
    solid = np.zeros((cells,) * 3, np.bool_)
    middle = (np.arange(cells) + 0.5) / cells
    for centre in centres:
        x, y, z = ((middle - c - np.round(middle - c)) ** 2 for c in centre)
        solid |= z[:, None, None] + y[None, :, None] + x[None, None, :] < diameter**2 / 4
    return solid


def random_field(rng: np.random.Generator, cells: int, share: float, length: float) -> Cells:
    """Cells (N, N, N) in which smoothed white noise is largest, as many as a share of the volume.

    Args:
        rng: drawn from once.
        cells: N.
        share: solid share of the volume.
        length: of features; the standard deviation of the smoothing is a quarter of it.
    """
    noise = rng.normal(size=(cells,) * 3)
    smooth = scipy.ndimage.gaussian_filter(noise, length / 4 * cells, mode="wrap")
    return np.asarray(smooth > np.quantile(smooth, 1 - share))


def without_pockets(solid: Cells) -> Cells:
    """The same medium with all fluid filled in but the largest connected part of it."""
    labels, count = scipy.ndimage.label(~solid)
    parts = np.arange(count + 1)
    for axis in range(3):  # what touches across the sides of the box is one part
        first, last = (np.take(labels, end, axis) for end in (0, -1))
        for a, b in set(zip(first.ravel().tolist(), last.ravel().tolist(), strict=True)):
            if a and b:
                parts[parts == parts[b]] = parts[a]
    merged = parts[labels]
    sizes = np.bincount(merged[~solid])
    return np.asarray(solid | (merged != sizes.argmax()))


def pore_size(solid: Cells) -> float:
    """Hydraulic diameter: four times the fluid's volume over its wetted area.

    The steps of the cells make an isotropic surface larger by one half, which is taken out.
    """
    cells = solid.shape[0]
    faces = sum(int((solid != np.roll(solid, 1, axis)).sum()) for axis in range(3))
    area = faces / cells**2 / 1.5
    return float(4 * (~solid).mean() / area)
