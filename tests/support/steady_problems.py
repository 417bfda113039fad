"""Steady operators of two samples each, by the names of their equations."""

import torch

from data_shards.generate.spectral_operator import rotated
from foundation.physics.residuals import SteadyOperator, operator_of

TURNED = rotated(4.0, 0.7, 0.01)
PROBLEMS = {  # two samples each
    "Poisson": {"k11": (0.02, TURNED[0]), "k22": (0.04, TURNED[1]), "k12": (0.01, TURNED[2])},
    "advection-diffusion": {
        "k11": (0.02, TURNED[0]), "k22": (0.04, TURNED[1]), "k12": (-0.01, TURNED[2]),
        "v1": (0.6, -0.1), "v2": (-0.3, 0.2),
    },
    "Helmholtz": {"diffusion": (0.01, 0.02), "omega": (3.0, 7.0)},
}  # fmt: skip
NAMES = tuple(PROBLEMS)


def coefficients(name, **changes):
    values = {**PROBLEMS[name], **changes}
    return {key: torch.tensor(pair, dtype=torch.float64) for key, pair in values.items()}


def problem(name, **changes):
    return operator_of(name, coefficients(name, **changes))


def chosen(operator: SteadyOperator, samples) -> SteadyOperator:
    """The operators of some samples."""
    return SteadyOperator(
        operator.tensor_B3[samples],
        operator.velocity_B2[samples],
        operator.omega_B[samples],
        operator.determines_mean,
    )


def noise(generator, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=generator)
