"""Residual of an answer: nothing for the solution, one for zeros, and linear in between."""

import numpy as np
import pytest
import torch

from data_shards.catalogue import load_card
from data_shards.generate import elliptic
from data_shards.stream.origin import Origin
from evaluation.metrics.forecast import Forecast, Setting
from evaluation.metrics.registry import measure

EQUATIONS = ("elliptic_poisson", "elliptic_advection_diffusion", "elliptic_helmholtz")


def solved(name: str, scale: float) -> Forecast:
    """The solver's own solutions of three problems, times a factor."""
    card = load_card(name)
    rng = np.random.default_rng(0)
    problems = [elliptic.generate(card, rng, index=i, resolution=32) for i in range(3)]
    fields = torch.from_numpy(np.stack([problem.fields for problem in problems]))
    source, u = fields[:, :, 0], fields[:, :, 1:]
    origins = tuple(
        Origin(parameters={k: float(v) for k, v in problem.parameters.items()})
        for problem in problems
    )
    setting = Setting((32, 32), 1, ("u",), pde=card.pde, given=("source",))
    points = torch.ones(3, 1, 1, 32, 32)
    return Forecast(scale * u, u, points, setting, origins, given={"source": source})


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize(("scale", "wanted"), [(1.0, 0.0), (0.0, 1.0), (1.5, 0.5), (3.0, 2.0)])
def test_the_residual_of_a_scaled_solution_is_what_the_scale_leaves(name, scale, wanted):
    found = measure(("residual",), solved(name, scale))["residual"]
    # The solver's rounding times the largest symbol of 32 x 32 waves.
    torch.testing.assert_close(found, torch.full_like(found, wanted), atol=1e-9, rtol=1e-9)


def test_it_does_not_apply_to_equations_that_it_does_not_know():
    forecast = solved("elliptic_poisson", 1.0)
    other = Setting((32, 32), 1, ("u",), pde="wave", given=("source",))
    known = forecast.__class__(**{**vars(forecast), "setting": other})
    assert measure(("residual", "l2re"), known).keys() == {"l2re"}
