"""Simulation files in every format, of fields that are the same under no exchange of axes."""

from pathlib import Path

import h5py
import numpy as np
from scipy.io import netcdf_file, savemat

FRAMES, ROWS, COLUMNS = 13, 12, 20
FORMATS = ("h5", "hdf5", "nc", "classic.nc", "npz", "npy", "mat", "v73.mat")


def waves(
    frames: int = FRAMES, channels: int = 2, rows: int = ROWS, columns: int = COLUMNS
) -> np.ndarray:
    """A drifting wave with a slope of its own in every channel, (T, C, H, W) float32."""
    t, c, y, x = np.meshgrid(
        np.arange(frames), np.arange(channels), np.arange(rows), np.arange(columns), indexing="ij"
    )
    phase = 2 * np.pi * (x / columns + 2 * y / rows) - 0.2 * t
    smooth = 1.5 + c + np.sin(phase + c) + 0.3 * np.cos(2 * np.pi * x / columns)
    return smooth.astype(np.float32)


def places(frames: int = FRAMES, rows: int = ROWS, columns: int = COLUMNS) -> dict[str, np.ndarray]:
    """Times, rows and columns."""
    return {
        "t": 0.5 + 0.25 * np.arange(frames),
        "y": (np.arange(rows) + 0.5) / rows,
        "x": 2 * (np.arange(columns) + 0.5) / columns,
    }


def write_arrays(path: Path, arrays: dict[str, np.ndarray], **attributes: str) -> Path:
    """Arrays by name in the format of a path's ending (`.v73.mat`, `.classic.nc`)."""
    name = path.name
    if name.endswith(".v73.mat"):
        with h5py.File(path, "w", userblock_size=512) as file:
            for key, values in arrays.items():
                file[key] = np.atleast_2d(values).T
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    elif name.endswith(".mat"):
        savemat(path, arrays)
    elif name.endswith(".classic.nc"):
        _classic(path, arrays)
    elif name.endswith((".h5", ".hdf5", ".nc")):
        with h5py.File(path, "w") as file:
            file.attrs.update(attributes)
            for key, values in arrays.items():
                file[key] = values
    elif name.endswith(".npz"):
        np.savez(path, **arrays)
    else:
        (values,) = arrays.values()
        np.save(path, values)
    return path


def _classic(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Axes without a meaning: one dimension per length."""
    with netcdf_file(str(path), "w") as file:
        for key, values in arrays.items():
            for size in values.shape:
                if f"dim{size}" not in file.dimensions:
                    file.createDimension(f"dim{size}", size)
            axes = tuple(f"dim{size}" for size in values.shape)
            file.createVariable(key, values.dtype, axes)[:] = values


def write_waves(path: Path, fields: np.ndarray | None = None, dtype: str = "f4") -> Path:
    """Fields (T, C, H, W) with coordinates, one array per channel; all in one for NPY."""
    fields = (waves() if fields is None else fields).astype(dtype)
    frames, channels, rows, columns = fields.shape
    if path.suffix == ".npy":
        return write_arrays(path, {"fields": fields})
    arrays = {f"u{c}": fields[:, c] for c in range(channels)}
    return write_arrays(path, arrays | places(frames, rows, columns))
