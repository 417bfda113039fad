"""A box at one time: slices through its middle and surfaces of its largest values; one PNG out.

Axes: C channels, D slices (z), H rows (y, upwards), W columns (x).
Surfaces come from scikit-image (marching cubes), which is optional: without it there are slices.
"""

import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure, FigureBase
from mpl_toolkits.mplot3d import Axes3D
from numpy.typing import NDArray

from data_shards.atomic import replace_file
from data_shards.card import CorpusCard
from data_shards.pictures.sheet import draw_values
from data_shards.pictures.view import label, scale_of, title_of
from data_shards.trajectory import Trajectory

Array = NDArray[np.floating]
_DPI = 110
_FAST, _VORTICES = 90, 96  # percentiles that the surfaces enclose
_FINEST = 64  # cells per side that surfaces are made of
# What is cut, the two axes of the picture, and the dimension that is cut.
_SLICES = (("x, y", (0, 1), 0), ("x, z", (0, 2), 1), ("z, y", (2, 1), 2))


def can_draw_surfaces() -> bool:
    """Whether scikit-image is there."""
    return importlib.util.find_spec("skimage") is not None


def draw_volume(trajectory: Trajectory, card: CorpusCard, path: Path) -> None:
    """Draw the last frame of a box as a PNG.

    Args:
        trajectory: of three dimensions.
        card: of its corpus.
        path: file to write.
    """
    channels, surfaces = len(card.channels), can_draw_surfaces()
    figure = Figure((10 + 4.5 * surfaces, 3.0 * channels + 0.6), layout="constrained")
    figure.suptitle(title_of(trajectory, card), fontsize=9)
    if surfaces:
        parts = figure.add_gridspec(1, 2, width_ratios=(10, 4.5))
        _draw_slices(figure.add_subfigure(parts[0]), trajectory, card)
        _draw_surfaces(figure.add_subfigure(parts[1]), trajectory, card)
    else:
        _draw_slices(figure, trajectory, card)
    file = io.BytesIO()
    figure.savefig(file, dpi=_DPI, format="png")
    replace_file(path, file.getvalue())


def _draw_slices(figure: FigureBase, trajectory: Trajectory, card: CorpusCard) -> None:
    """Rows are channels, columns are planes through the middle."""
    frame = np.where(trajectory.full_mask > 0.5, trajectory.fields[-1], np.nan)
    panels = figure.subplots(len(card.channels), len(_SLICES), squeeze=False)
    for row, channel, values in zip(panels, card.channels, frame, strict=True):
        scale = scale_of(values)
        for axes, (name, (across, up), cut) in zip(row, _SLICES, strict=True):
            plane = np.take(values, values.shape[cut] // 2, cut)
            x_0, x_1 = trajectory.extent[2 * across :][:2]
            y_0, y_1 = trajectory.extent[2 * up :][:2]
            image = draw_values(axes, plane.T if cut == 2 else plane, (x_0, x_1, y_0, y_1), scale)
            axes.set_xlabel(name.split(", ")[0], fontsize=8)
            axes.set_ylabel(name.split(", ")[1], fontsize=8)
        bar = figure.colorbar(image, ax=list(row), extend=scale.extend, pad=0.01, shrink=0.9)
        bar.set_label(label(channel), fontsize=8)
        bar.ax.tick_params(labelsize=7)


def _draw_surfaces(figure: FigureBase, trajectory: Trajectory, card: CorpusCard) -> None:
    """The solid, and around which cells a quantity is largest."""
    quantities = list(_quantities(trajectory, card))
    places = figure.subplots(len(quantities), 1, subplot_kw={"projection": "3d"}, squeeze=False)
    solid = 1.0 - trajectory.full_mask
    for axes, (name, values, percentile) in zip(places[:, 0], quantities, strict=True):
        fluid = values[solid < 0.5]
        level = float(np.percentile(fluid, percentile))
        # Solid cells sink below the level, so that surfaces end at them.
        known = np.where(solid < 0.5, values, fluid.min())
        _draw_surface(axes, known, level, trajectory.extent, "tab:red", 1.0)
        if solid.any():
            _draw_surface(axes, solid, 0.5, trajectory.extent, "0.6", 0.25)
        axes.set_title(f"{name}, its largest {100 - percentile} %", fontsize=9)


def _quantities(trajectory: Trajectory, card: CorpusCard) -> Iterator[tuple[str, Array, int]]:
    """What surfaces are drawn of: name, values (D, H, W), percentile."""
    frame = trajectory.fields[-1].astype(np.float64)
    names = {axis: name for name, axis in card.staggered.items()}
    if len(names) < 3:
        yield label(card.channels[0]), frame[0], _FAST
        return
    faces = [frame[card.channel_names.index(name)] for _, name in sorted(names.items())]
    velocity = [0.5 * (v + np.roll(v, -1, 2 - axis)) for axis, v in enumerate(faces)]
    yield "speed", np.sqrt(sum(v**2 for v in velocity)), _FAST
    if trajectory.mask is None:
        yield "vortices (Q)", _second_invariant(velocity, trajectory), _VORTICES


def _second_invariant(velocity: list[Array], trajectory: Trajectory) -> Array:
    """Q = -sum of dv_i/dx_j dv_j/dx_i / 2, positive where rotation outweighs strain."""
    grid, extent = velocity[0].shape, trajectory.extent
    spacing = [(extent[2 * a + 1] - extent[2 * a]) / grid[2 - a] for a in range(3)]
    slopes = [[np.gradient(v, spacing[a], axis=2 - a) for a in range(3)] for v in velocity]
    return np.asarray(-0.5 * sum(slopes[i][j] * slopes[j][i] for i in range(3) for j in range(3)))


def _draw_surface(
    axes: Axes3D,
    values: Array,
    level: float,
    extent: tuple[float, ...],
    colour: str,
    alpha: float,
) -> None:
    """The surface on which values (D, H, W) are at a level, y upwards; nothing if there is none."""
    from skimage.measure import marching_cubes  # optional

    limits = [extent[2 * axis :][:2] for axis in range(3)]
    for limit, draw in zip((limits[0], limits[2], limits[1]), "xyz", strict=True):
        getattr(axes, f"set_{draw}lim")(*limit)
    for draw, name in zip("xyz", "xzy", strict=True):
        getattr(axes, f"set_{draw}label")(name, fontsize=8, labelpad=-12)
        getattr(axes, f"set_{draw}ticks")([])
    if not values.min() < level < values.max():
        return
    step = max(1, max(values.shape) // _FINEST)
    corners, triangles, _, _ = marching_cubes(values, level, step_size=step)
    x, y, z = (
        low + (corners[:, 2 - axis] + 0.5) / values.shape[2 - axis] * (high - low)
        for axis, (low, high) in enumerate(limits)
    )
    axes.plot_trisurf(x, z, y, triangles=triangles, color=colour, alpha=alpha, linewidth=0)
