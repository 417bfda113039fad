"""Routes made by hand, with the answers they must give; sizes of a small mixture."""

import numpy as np

from evaluation.routing.routes import Routes

MIXTURE = {
    "resolution": 16,
    "patch": 4,
    "width": 16,
    "blocks": 2,
    "heads": 2,
    "modes": 2,
    "head_width": 8,
    "router": {"num_experts": 4, "top_k": 2},
}


def handmade(
    corpus: str,
    probabilities: np.ndarray,
    trajectories: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Routes:
    """Routes from probabilities (N, L, E).

    Args:
        corpus: its name.
        probabilities: of every window.
        trajectories: number of each window's; every window has its own by default.
        weights: in the mixture; the probabilities by default.
    """
    count = len(probabilities)
    trajectories = np.arange(count) if trajectories is None else trajectories
    return Routes(
        corpus=corpus,
        keys=tuple(f"{corpus}-{t}@{n}" for n, t in enumerate(trajectories)),
        trajectories_N=np.asarray(trajectories),
        probabilities_NLE=np.asarray(probabilities, np.float32),
        weights_NLE=np.asarray(probabilities if weights is None else weights, np.float32),
    )
