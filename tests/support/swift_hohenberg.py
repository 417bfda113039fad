"""Patterns of the Swift-Hohenberg equation, which no corpus holds: u_t = r u - (1 + lap)^2 u - u^3.

Periodic, rows by columns not square; spectral in space, in time the linear part exact and
the cubic one explicit (exponential Euler).
"""

from pathlib import Path

import numpy as np

FRAMES, ROWS, COLUMNS = 16, 20, 24
_DRIVE, _LENGTH, _STEP, _STEPS = 0.3, 4 * np.pi, 0.05, 10  # per frame


def pattern(seed: int, frames: int = FRAMES) -> dict[str, np.ndarray]:
    """A run from noise: field, times and places by the names that they have in a file."""
    rng = np.random.default_rng(seed)
    rows, columns = (2 * np.pi * np.fft.fftfreq(n, _LENGTH / n) for n in (ROWS, COLUMNS))
    linear = _DRIVE - (1 - rows[:, None] ** 2 - columns[None] ** 2) ** 2
    grown = np.exp(linear * _STEP)
    share = _STEP * np.expm1(linear * _STEP) / (linear * _STEP)
    smooth = np.exp(-(rows[:, None] ** 2) - columns[None] ** 2)
    u = np.fft.ifft2(smooth * np.fft.fft2(rng.standard_normal((ROWS, COLUMNS)))).real
    kept = []
    for _ in range(frames):
        kept.append(u)
        for _ in range(_STEPS):
            u = np.fft.ifft2(grown * np.fft.fft2(u) - share * np.fft.fft2(u**3)).real
    return {
        "u": np.asarray(kept, np.float32),
        "t": _STEP * _STEPS * np.arange(frames),
        "y": _LENGTH * (np.arange(ROWS) + 0.5) / ROWS,
        "x": _LENGTH * (np.arange(COLUMNS) + 0.5) / COLUMNS,
    }


def write_patterns(folder: Path, count: int) -> list[Path]:
    """Files run_0.npz, run_1.npz, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"run_{number}.npz" for number in range(count)]
    for number, path in enumerate(paths):
        np.savez(path, **pattern(number))
    return paths
