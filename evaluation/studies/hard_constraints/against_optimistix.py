"""The solver of boxes beside two that nobody here wrote, on the same least squares.

    python -m venv OTHER; OTHER/bin/pip install optimistix          # brings jax
    python against_optimistix.py ours solvers.json                  # in this house's environment
    python against_optimistix.py scipy solvers.json
    OTHER/bin/python against_optimistix.py optimistix solvers.json

Each run is a process of its own and adds to the file what it found: objectives against the least
that any has found, gradients, steps, seconds (the median of three calls after a first one, which
compiles where something is compiled) and how much the process grew. `scipy` gets the Jacobian by
hand, the other two differentiate the residual.
Axes: B boxes, M points, N weights.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

BOXES, POINTS, WEIGHTS = 64, 200, 16
Solve = Callable[[], tuple[Any, Any]]  # weights (B, N) and steps (B,) out
TOLERANCE, MOST_STEPS = 1e-9, 200


def problems() -> tuple[Any, Any]:
    """Derivatives u, u_x, u_xx of random basis fields (B, M, 3, N), right-hand sides (B, M)."""
    random = np.random.default_rng(0)
    shape = BOXES, POINTS, 3, WEIGHTS
    return random.standard_normal(shape), random.standard_normal(shape[:2])


def residual(weights_N: Any, jets_M3N: Any, right_M: Any, sin: Callable[[Any], Any]) -> Any:
    """As many rows as points, far from zero at the best weights."""
    values_M3 = jets_M3N @ weights_N
    u, slope, curvature = values_M3[..., 0], values_M3[..., 1], values_M3[..., 2]
    return 0.3 * u * slope - 0.5 * curvature - 0.2 * sin(u) + right_M


def jacobian(weights_N: Any, jets_M3N: Any, right_M: Any) -> Any:
    """By the weights (M, N), in numpy."""
    values_M3 = jets_M3N @ weights_N
    by_u = 0.3 * values_M3[:, 1] - 0.2 * np.cos(values_M3[:, 0])
    by_slope = 0.3 * values_M3[:, 0]
    return np.einsum(
        "md,mdn->mn", np.stack([by_u, by_slope, np.full_like(by_u, -0.5)], 1), jets_M3N
    )


def ours(curvature: str) -> Solve:
    import torch

    from foundation.constraint.levenberg_marquardt import SolverConfig, least_squares

    own = tuple(torch.from_numpy(part) for part in problems())
    start = torch.zeros(BOXES, WEIGHTS, dtype=torch.float64)
    settings = {"tolerance": TOLERANCE, "iterations": MOST_STEPS, "curvature": curvature}
    config = SolverConfig.model_validate(settings)

    def solve() -> tuple[Any, Any]:
        ending = least_squares(lambda w, j, r: residual(w, j, r, torch.sin), start, own, config)
        return ending.weights_BN.numpy(), ending.iterations_B.numpy()

    return solve


def scipys() -> tuple[Any, Any]:
    from scipy.optimize import least_squares

    found = [
        least_squares(
            residual,
            np.zeros(WEIGHTS),
            lambda w, j, r, _: jacobian(w, j, r),
            method="lm",
            args=(jets, right, np.sin),
            ftol=1e-15,
            xtol=1e-15,
            gtol=1e-15,
            max_nfev=MOST_STEPS,
        )
        for jets, right in zip(*problems(), strict=True)
    ]
    return np.stack([each.x for each in found]), np.array([each.nfev for each in found])


def optimistixs() -> Solve:
    import jax  # type: ignore[import-not-found]
    import optimistix  # type: ignore[import-not-found]

    jax.config.update("jax_enable_x64", True)
    solver = optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12)
    own = tuple(jax.numpy.asarray(part) for part in problems())

    def one(jets: Any, right: Any) -> tuple[Any, Any]:
        found = optimistix.least_squares(
            lambda w, args: residual(w, args[0], args[1], jax.numpy.sin),
            solver,
            jax.numpy.zeros(WEIGHTS),
            (jets, right),
            max_steps=MOST_STEPS,
            throw=False,
        )
        return found.value, found.stats["num_steps"]

    batched = jax.jit(jax.vmap(one))

    def solve() -> tuple[Any, Any]:
        weights, steps = batched(*own)
        return np.asarray(weights), np.asarray(steps)

    return solve


def measured(solve: Solve) -> dict[str, Any]:
    """What one solver finds, and what it takes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        weights_BN, steps_B = solve()
        seconds.append(time.perf_counter() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    boxes = list(zip(weights_BN, *problems(), strict=True))
    gradients = [np.linalg.norm(residual(w, j, r, np.sin) @ jacobian(w, j, r)) for w, j, r in boxes]
    return {
        "objectives": [float((residual(*box, np.sin) ** 2).sum() / 2) for box in boxes],
        "gradient": {"median": float(np.median(gradients)), "most": float(np.max(gradients))},
        "steps": {"mean": float(np.mean(steps_B)), "most": int(np.max(steps_B))},
        "seconds": {"first": seconds[0], "then": statistics.median(seconds[1:])},
        "grown_mib": grown / 1024,
    }


def main(name: str, path: Path) -> None:
    ways: dict[str, dict[str, Callable[[], Solve]]] = {
        "ours": {f"ours, {c}": partial(ours, c) for c in ("exact", "gauss_newton")},
        "scipy": {"scipy": lambda: scipys},
        "optimistix": {"optimistix": optimistixs},
    }
    found = json.loads(path.read_text()) if path.exists() else {}
    for way, prepare in ways[name].items():
        found[way] = measured(prepare())
        least = np.min([each["objectives"] for each in found.values()], axis=0)
        for each in found.values():
            above = np.array(each["objectives"]) / least - 1
            each["boxes_at_the_least"] = int((above < 1e-9).sum())
            each["most_above_the_least"] = float(above.max())
        path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
