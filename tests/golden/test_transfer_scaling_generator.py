"""Agreement with problems that the published generator of the transfer study wrote.

Files, program and seed: `transfer_scaling/README.md`.
"""

from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch

from data_shards.catalogue import load_card
from data_shards.generate.elliptic import BUMPS, SPACING, WIDTH
from data_shards.generate.spectral_operator import Operator, solve
from data_shards.read import open_raw
from foundation.physics.residuals import operator_of, relative_residual

FOLDER = Path(__file__).with_name("transfer_scaling")
STEADY = ("elliptic_poisson", "elliptic_advection_diffusion", "elliptic_helmholtz")
CELLS, COUNT = 32, 4
# Source, solution and coefficients were rounded to float32, each by 6e-8 of itself.
ROUNDING = 3e-7


def converted(name):
    """The card, cut down to the files' grid, and the trajectories as our reader gives them."""
    card = load_card(name).model_copy(update={"native_grid": (CELLS, CELLS)})
    corpus = open_raw(card, "test", FOLDER)
    trajectories = [corpus.read(number) for number in range(len(corpus))]
    corpus.close()
    assert len(trajectories) == COUNT
    return card, trajectories


def operator(parameters):
    if "omega" in parameters:
        diffusion = parameters["diffusion"]
        return Operator((diffusion, diffusion, 0.0), omega=parameters["omega"])
    tensor = tuple(parameters[name] for name in ("k11", "k22", "k12"))
    return Operator(tensor, (parameters.get("v1", 0.0), parameters.get("v2", 0.0)))


def paired(field):
    """A field without its unpaired waves, of which two programs may think as they like."""
    waves = scipy.fft.rfft2(field.astype(np.float64))
    waves[CELLS // 2] = waves[:, CELLS // 2] = 0
    return scipy.fft.irfft2(waves, s=(CELLS, CELLS))


@pytest.mark.parametrize("name", STEADY)
def test_their_source_and_coefficients_have_their_solution(name):
    _, trajectories = converted(name)
    for trajectory in trajectories:
        source, theirs = trajectory.fields[0]
        waves = scipy.fft.rfft2(source.astype(np.float64))
        if name != "elliptic_helmholtz":
            assert abs(source.mean()) < 1e-7
            assert abs(theirs.mean()) < 1e-7
            waves[0, 0] = 0
        ours = scipy.fft.irfft2(solve(waves, operator(trajectory.parameters)), s=(CELLS, CELLS))
        gap = np.linalg.norm(ours - paired(theirs)) / np.linalg.norm(ours)
        assert gap < ROUNDING


@pytest.mark.parametrize("name", STEADY)
def test_their_solutions_leave_no_residual_but_the_rounding(name):
    card, trajectories = converted(name)
    fields = torch.from_numpy(np.stack([trajectory.fields[0] for trajectory in trajectories]))
    parameters = [trajectory.parameters for trajectory in trajectories]
    values = {key: torch.tensor([p[key] for p in parameters]).double() for key in parameters[0]}
    left = relative_residual(operator_of(card.pde, values), fields[:, 1], fields[:, 0])
    assert left.max() < 2e-5  # rounding of u times the largest symbol


@pytest.mark.parametrize("name", STEADY)
def test_their_sources_are_our_lattice_of_gaussians_of_height_one(name):
    _, trajectories = converted(name)
    places = 0.5 + SPACING * (np.arange(BUMPS) - (BUMPS - 1) / 2)
    x = np.arange(CELLS) / CELLS
    profiles = np.exp(-((x - places[:, None]) ** 2) / (2 * WIDTH**2))
    bumps = np.einsum("iy,jx->yxij", profiles, profiles).reshape(CELLS**2, BUMPS**2)
    for number, trajectory in enumerate(trajectories):
        source = trajectory.fields[0, 0].ravel().astype(np.float64)
        basis = np.column_stack([bumps, np.ones(CELLS**2)])
        *heights, mean = np.linalg.lstsq(basis, source, rcond=None)[0]
        heights = np.array(heights)
        np.testing.assert_allclose(basis @ [*heights, mean], source, atol=ROUNDING)
        assert (bumps @ heights).max() == pytest.approx(1, abs=1e-5)
        if name == "elliptic_helmholtz":
            assert mean == pytest.approx(0, abs=1e-5)
        assert heights.min() > -1e-5
        left_out = (np.abs(heights) < 1e-4).mean()
        # 144 draws: a standard error of at most 0.042.
        assert left_out == pytest.approx(0.2 * (number + 1), abs=0.13)


def test_their_ratio_of_advection_to_diffusion_is_ours():
    _, trajectories = converted("elliptic_advection_diffusion")
    for trajectory in trajectories:
        made = operator(trajectory.parameters)
        waves = scipy.fft.rfft2(trajectory.fields[0, 1].astype(np.float64))
        moved, spread = (
            np.linalg.norm(paired(scipy.fft.irfft2(symbol * waves, s=(CELLS, CELLS))))
            for symbol in (made.advection(CELLS), made.diffusion(CELLS))
        )
        found = trajectory.parameters["advection_ratio"]
        assert moved / spread == pytest.approx(
            found, rel=5e-6
        )  # rounding, twice through derivatives
