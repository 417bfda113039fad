"""The alpha-beta model's two constants from measured times: points in, a link out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class Point:
    """One measured time.

    Attributes:
        messages: that followed each other.
        amount: bytes that one rank sent; or FLOPs, where a rate is sought.
        seconds: that it took.
    """

    messages: float
    amount: float
    seconds: float


@dataclass(frozen=True)
class Fit:
    """Seconds = alpha messages + beta amount.

    Attributes:
        alpha: seconds per message.
        beta: seconds per byte, or per FLOP.
        residual: root mean square of the relative errors at the points.
    """

    alpha: float
    beta: float
    residual: float


def fitted(points: Sequence[Point]) -> Fit:
    """Least squares over relative errors, so that short messages count as much as long ones.

    Args:
        points: two or more that differ in their amount per message, of positive seconds.

    Raises:
        ValueError: fewer, or without a difference.
    """
    model = np.array([[p.messages / p.seconds, p.amount / p.seconds] for p in points])
    scale = np.abs(model).max(axis=0) if len(points) else np.ones(2)
    if len(points) < 2 or not scale.all() or np.linalg.matrix_rank(model / scale) < 2:
        raise ValueError("a fit of alpha and beta needs points that differ in size per message")
    solution, error = nnls(model / scale, np.ones(len(points)))
    alpha, beta = solution / scale
    return Fit(float(alpha), float(beta), float(error / len(points) ** 0.5))
