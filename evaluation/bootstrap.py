"""Standard errors by the bootstrap: per-sample values in, spread of their mean out.

Trajectories are drawn with replacement, because they are what is independent;
frames and points of one trajectory are not.
Source: Efron, Annals of Statistics 7 (1979).
"""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000  # the error of a standard error is then about 2%, below what is printed
SEED = 20250


def standard_error(values_N: NDArray[np.float64]) -> float | None:
    """Bootstrap standard error of the mean over trajectories.

    Args:
        values_N: one value per trajectory.

    Returns:
        In the units of the values, the same at every call; inf where a value is not
        finite; None for fewer than two trajectories, where there is no spread to see.
    """
    if len(values_N) < 2:
        return None
    if not np.isfinite(values_N).all():
        return float("inf")
    rng = np.random.default_rng(SEED)
    draws = rng.integers(0, len(values_N), size=(RESAMPLES, len(values_N)))
    return float(values_N[draws].mean(axis=1).std(ddof=1))
