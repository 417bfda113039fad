"""From a simulation's grid to a model's and back: two small matrices, one per axis.

Axes: ... any, H rows and W columns of the source, R rows and Q columns of the result.
Cells keep their extent, as in `data_shards.stream.layout`; the domain is stretched to the model's
square, as all corpora are. Without an obstacle fields are resampled by their waves: those of a
Fourier series along a periodic axis, of a cosine series (fields mirrored at the outermost cell
edges) along any other. Waves that the coarser grid resolves pass unchanged there and back,
and means are kept, both to round-off; a jump rings, by up to 9% of its height.
With an obstacle, neighbours in the fluid are averaged bilinearly, since a wave would
ring at its sides: nothing leaks out of solid cells, means are kept approximately.
Departure: the corpora's own resizing (`data_shards.resize`) blurs and does not come back.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct

Array = NDArray[np.float32]
Matrix = NDArray[np.float64]
Sides = tuple[bool, bool]


def regrid(frames: Array, shape: tuple[int, ...], periodic: Sides) -> Array:
    """Resample planes by their waves.

    Args:
        frames: (..., H, W).
        shape: (R, Q) wanted.
        periodic: whether rows and columns go on across their ends.

    Returns:
        (..., R, Q) float32; the frames themselves where the grid is already right.
    """
    if frames.shape[-2:] == shape:
        return frames
    rows, columns = (
        wave_matrix(source, result, around)
        for source, result, around in zip(frames.shape[-2:], shape, periodic, strict=True)
    )
    result = np.empty((*frames.shape[:-2], *shape), np.float32)
    for place in np.ndindex(frames.shape[:-2]):  # a plane at a time: many frames stay float32
        result[place] = _narrow(_applied(rows, columns, frames[place].astype(np.float64)))
    return result


def regrid_fluid(
    frames: Array, fluid: Array, wanted: Array, periodic: Sides, background: Array | None = None
) -> Array:
    """Resample planes around an obstacle.

    Args:
        frames: (..., H, W).
        fluid: (H, W), 1 in the fluid, 0 in solid cells.
        wanted: (R, Q), likewise on the result's grid.
        periodic: whether rows and columns go on across their ends.
        background: (..., R, Q), values of cells that are solid or have no fluid nearby;
            those of the solid cells around by default.

    Returns:
        (..., R, Q) float32; the frames themselves where the grid is already right.
    """
    if frames.shape[-2:] == wanted.shape:
        return frames
    result = np.empty((*frames.shape[:-2], *wanted.shape), np.float32)
    behind = None if background is None else np.broadcast_to(background, result.shape)
    for place in np.ndindex(frames.shape[:-2]):
        outside = None if behind is None else behind[place]
        result[place] = _around_obstacle(frames[place], fluid, wanted, periodic, outside)
    return result


def _around_obstacle(
    frame: Array, fluid: Array, wanted: Array, periodic: Sides, background: Array | None
) -> Array:
    """One plane (H, W) to (R, Q)."""
    rows, columns = (
        linear_matrix(source, result, around)
        for source, result, around in zip(frame.shape, wanted.shape, periodic, strict=True)
    )
    values, weights = frame.astype(np.float64), fluid.astype(np.float64)
    share = _applied(rows, columns, weights)
    there = (share > 1e-6) & (wanted > 0.5)
    inside = _applied(rows, columns, values * weights) / np.where(there, share, 1.0)
    if background is not None:
        return _narrow(np.where(there, inside, background))
    solid = _applied(rows, columns, values * (1 - weights)) / np.where(there, 1.0, 1 - share)
    return _narrow(np.where(there, inside, solid))


def regrid_mask(fluid: Array, shape: tuple[int, ...], periodic: Sides) -> Array:
    """A mask on another grid, (R, Q) of zeros and ones: fluid from one half on."""
    if fluid.shape == shape:
        return (fluid >= 0.5).astype(np.float32)
    rows, columns = (
        linear_matrix(source, result, around)
        for source, result, around in zip(fluid.shape, shape, periodic, strict=True)
    )
    return (_applied(rows, columns, fluid.astype(np.float64)) >= 0.5).astype(np.float32)


@np.errstate(over="ignore", invalid="ignore")  # a forecast may diverge; its report says so
def _applied(rows: Matrix, columns: Matrix, values: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = rows @ values @ columns.T
    return result


@np.errstate(over="ignore", invalid="ignore")
def _narrow(values: NDArray[np.float64]) -> Array:
    return values.astype(np.float32)


@lru_cache(maxsize=32)
def wave_matrix(source: int, result: int, periodic: bool) -> Matrix:
    """Matrix (result, source) that keeps all waves both grids resolve.

    Rows sum to one (constants stay), columns to result/source (means stay).
    """
    matrix = _fourier(source, result) if periodic else _cosine(source, result)
    matrix.flags.writeable = False  # it is cached
    return matrix


def _fourier(source: int, result: int) -> Matrix:
    shared = min(source, result)
    numbers = np.arange(-(shared // 2), shared // 2 + 1)
    # The shortest wave of an even grid has no direction: a finer grid gets half of it in
    # either, which a coarser one adds up again.
    halved = (2 * np.abs(numbers) == shared) & (source < result)
    weights = np.where(halved, 0.5, 1.0)
    places, centres = (np.arange(result) + 0.5) / result, (np.arange(source) + 0.5) / source
    apart = places[:, None] - centres[None, :]
    waves = np.cos(2 * np.pi * apart[..., None] * numbers)
    matrix: Matrix = (waves * weights).sum(-1) / source
    return matrix


def _cosine(source: int, result: int) -> Matrix:
    spectrum = dct(np.eye(source), type=2, norm="ortho", axis=0)
    kept = np.zeros((result, source))
    shared = min(source, result)
    kept[:shared] = spectrum[:shared]
    matrix: Matrix = idct(kept, type=2, norm="ortho", axis=0) * np.sqrt(result / source)
    return matrix


@lru_cache(maxsize=32)
def linear_matrix(source: int, result: int, periodic: bool) -> Matrix:
    """Matrix (result, source) of linear interpolation between the centres of cells."""
    centre = (np.arange(result) + 0.5) * (source / result) - 0.5
    low = np.floor(centre).astype(np.int64)
    weight = centre - low
    matrix = np.zeros((result, source))
    for places, share in ((low, 1 - weight), (low + 1, weight)):
        inside = places % source if periodic else np.clip(places, 0, source - 1)
        np.add.at(matrix, (np.arange(result), inside), share)
    matrix.flags.writeable = False  # it is cached
    return matrix
