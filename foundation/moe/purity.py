"""How far corpora part among experts: who uses which expert in, one number out.

Axes: K corpora, E routed experts; others, as blocks, may stand between them.
"""

from torch import Tensor


def purity(usage_KE: Tensor) -> Tensor:
    """Share of routes that are of the corpus which uses their expert most, corpora weighing alike.

    Args:
        usage_KE: p(e | k), distributions over the last axis (K, ..., E).

    Returns:
        (...): 1 if no two corpora share an expert, 1 / K if all use them alike.
    """
    return usage_KE.amax(dim=0).sum(dim=-1) / len(usage_KE)
