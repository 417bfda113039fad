"""Small nonlinear least-squares problems, as a box has them."""

import torch
from torch import Tensor


def random_boxes(count: int, rows: int = 200, weights: int = 8) -> tuple[Tensor, Tensor]:
    """Derivatives of random basis fields (B, M, 3, N) and right-hand sides (B, M)."""
    generator = torch.Generator().manual_seed(0)
    options = {"generator": generator, "dtype": torch.float64}
    return torch.randn(count, rows, 3, weights, **options), torch.randn(count, rows, **options)


def burgers_like(weights_N: Tensor, jets_M3N: Tensor, right_M: Tensor) -> Tensor:
    """As many rows as points, far from zero at the best weights."""
    u, slope, curvature = (jets_M3N @ weights_N).unbind(-1)
    return 0.3 * u * slope - 0.5 * curvature - 0.2 * u.sin() + right_M
