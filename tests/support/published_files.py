"""Small files with the layouts of published ones, byte for byte where it matters.

Every value tells where it belongs: `numbered` counts trajectories, frames,
channels, rows and columns in digits of their own, over axes in any order. So a
swapped axis or channel cannot hide, and grids are never square.
"""

import struct
from pathlib import Path

import h5py
import numpy as np
import yaml
from scipy.io import savemat

from data_shards.card import CorpusCard
from data_shards.catalogue import load_card

WEIGHTS = {"n": 100_000, "t": 2_000, "c": 400, "y": 20, "x": 1}
ROWS, COLUMNS, FRAMES = 6, 8, 12


def numbered(axes: str, channel: int = 0, **lengths: int) -> np.ndarray:
    """An array over `axes`, for instance "ntxy", whose values say where they belong."""
    sizes = {"y": ROWS, "x": COLUMNS, "t": FRAMES, **lengths}
    places = np.indices([sizes[axis] for axis in axes])
    values = sum(WEIGHTS[axis] * place for axis, place in zip(axes, places, strict=True))
    return (values + WEIGHTS["c"] * channel).astype(np.float32)


def expected(number: int, channels: int = 1, rows: int = ROWS) -> np.ndarray:
    """Fields (T, C, H, W) of trajectory `number` in file order."""
    return numbered("tcyx", c=channels, y=rows) + WEIGHTS["n"] * number


def small_card(name: str, splits: dict, *, grid=(ROWS, COLUMNS), **changes) -> CorpusCard:
    """A real card, cut down to the small files' sizes; no checksums."""
    card = load_card(name)
    files = tuple(f.model_copy(update={"md5": None}) for f in card.published.files)
    published = card.published.model_copy(update={"splits": splits, "files": files})
    sizes = {"frames": FRAMES, "rollout_frames": 2, "native_grid": grid}
    return card.model_copy(update={"published": published, **sizes, **changes})


def centres(low: float, high: float, cells: int) -> np.ndarray:
    cell = (high - low) / cells
    return np.linspace(low + cell / 2, high - cell / 2, cells).astype(np.float32)


def write_mat73(path: Path, count: int, *, dtype="f4", frames=FRAMES, **storage) -> None:
    """A version 7.3 file as MATLAB writes it: 512 bytes of its own, then HDF5, axes reversed."""
    u = numbered("nxyt", n=count, t=frames)  # MATLAB's (N, X, Y, T)
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("u", data=u.T.astype(dtype), **storage)
        file.create_dataset("a", data=u[..., 0].T.astype(dtype))
        file.create_dataset("t", data=np.arange(1, frames + 1, dtype="f8")[:, None])
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Wed Oct 14 11:52:40 2020 HDF5"
    header = text.ljust(116) + bytes(8) + struct.pack("<H", 0x0200) + b"IM"
    with path.open("r+b") as file:
        file.write(header)


def write_mat5(path: Path, count: int, *, compressed: bool = False, dtype="f4") -> None:
    """A version 5 file as scipy writes it, from arrays (N, X, Y, T)."""
    u = numbered("nxyt", n=count).astype(dtype)
    arrays = {"a": u[..., 0], "u": u, "t": np.arange(1, FRAMES + 1, dtype="f4")}
    savemat(path, arrays, do_compression=compressed)


def write_cns(path: Path, count: int, *, mach=0.1, **storage) -> None:
    """One dataset per channel over [sample, t, x, y], 22 times for 21 frames, attributes."""
    cells_x, cells_y = (centres(0, 1, cells) for cells in (COLUMNS, ROWS))
    with h5py.File(path, "w") as file:
        for name, channel in {"density": 2, "pressure": 3, "Vx": 0, "Vy": 1}.items():
            file.create_dataset(name, data=numbered("ntxy", channel, n=count), **storage)
        file["x-coordinate"], file["y-coordinate"] = cells_x, cells_y
        file["t-coordinate"] = 0.05 * np.arange(FRAMES + 1, dtype="f4")
        file.attrs.update(eta=0.01, zeta=0.01, M=mach)


def write_groups(
    path: Path,
    count: int,
    *,
    axes: str,
    channels: int,
    domain: tuple[float, float],
    dt_s: float,
    settings: dict,
    **storage,
) -> None:
    """A group per trajectory: `data`, `grid/...`, and the settings of the run as YAML text."""
    data = numbered("nt" + axes + "c", n=count, c=channels)
    sizes = {"x": COLUMNS, "y": ROWS}
    with h5py.File(path, "w") as file:
        for number in reversed(range(count)):  # several processes wrote them, in no order
            group = file.create_group(f"{number:04d}")
            group.create_dataset("data", data=data[number], dtype="float32", **storage)
            for axis in axes:
                at = centres(*domain, sizes[axis])
                group.create_dataset(f"grid/{axis}", data=at, dtype="float32", **storage)
            times = dt_s * np.arange(FRAMES)
            group.create_dataset("grid/t", data=times, dtype="float32", **storage)
            sim = {"seed": number, **settings}
            if "dam_radius" in sim:
                sim["dam_radius"] = 0.3 + 0.05 * number
            group.attrs["config"] = yaml.safe_dump({"sim": sim, "name": path.stem})


def write_swe(path: Path, count: int) -> None:
    settings = {"gravity": 1.0, "dam_radius": None, "inner_height": 2.0, "T_end": 1.0}
    layout = {"axes": "xy", "channels": 1, "domain": (-2.5, 2.5), "dt_s": 0.01}
    write_groups(path, count, settings=settings, **layout)


def write_dr(path: Path, count: int) -> None:
    settings = {"Du": 1e-3, "Dv": 5e-3, "k": 5e-3}
    layout = {"axes": "yx", "channels": 2, "domain": (-1.0, 1.0), "dt_s": 0.05}
    write_groups(path, count, settings=settings, compression="lzf", **layout)
