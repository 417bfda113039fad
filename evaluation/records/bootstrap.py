"""Standard errors by the bootstrap: per-sample values in, spread of their mean out.

Trajectories are drawn with replacement, because they are what is independent;
frames and points of one trajectory are not, nor are its windows, which are drawn
together.
Source: Efron, Annals of Statistics 7 (1979).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000  # the error of a standard error is then about 2%, below what is printed
SEED = 20250

_BLOCK = 1 << 22  # values drawn at a time


def standard_error(
    values_N: NDArray[np.float64],
    *,
    windows: int = 1,
    of: Literal["mean", "median"] = "mean",
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> float | None:
    """Bootstrap standard error of the mean (or median) over trajectories.

    Args:
        values_N: one value per window, those of one trajectory side by side.
        windows: of every trajectory.
        of: what the values are brought to.
        seed: of the draws.
        resamples: number of draws.

    Returns:
        In the units of the values, the same at every call; inf where a value is not
        finite; None for fewer than two trajectories, where there is no spread to see.
    """
    values_GW = values_N.reshape(-1, windows)
    if len(values_GW) < 2:
        return None
    if not np.isfinite(values_N).all():
        return float("inf")
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(values_GW), size=(resamples, len(values_GW)))
    reduce = np.mean if of == "mean" else np.median
    rows = max(1, _BLOCK // values_N.size)
    drawn = [
        reduce(values_GW[some].reshape(len(some), -1), axis=1)
        for some in np.split(draws, range(rows, resamples, rows))
    ]
    return float(np.concatenate(drawn).std(ddof=1))
