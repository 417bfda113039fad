"""Every corpus at published fidelity: it runs, and it is the flow of the small profile."""

import numpy as np
import pytest

from data_shards.catalogue import card_names, load_card
from data_shards.generate import simulate
from data_shards.generate.solution import block_average
from data_shards.trajectory import Trajectory

GENERATED = [name for name in card_names() if load_card(name).generator]
# Relative L2 distance, over all channels, of the published and the small profile on the small
# grid: the error of the small one's solver, measured below the bound on this trajectory. Noise
# of white spectrum is drawn on the grid, so these two are different trajectories altogether,
# and the wakes of cylinders have different phases.
ONE_FLOW = {"fno_ns_1e-3": 1e-3, "fno_ns_1e-4": 1e-2, "pdebench_cns_m0.1": 0.05,
            "pdebench_cns_m1": 0.15, "pdebench_swe": 1e-2}  # fmt: skip


def first(name: str, profile: str, index: int = 0) -> Trajectory:
    card = load_card(name)
    resolution = card.profiles[profile].resolution
    return simulate(card.at(profile), split="test", index=index, seed=0, resolution=resolution)


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATED)
def test_a_corpus_runs_at_published_fidelity_on_the_published_grid(name):
    card = load_card(name)
    indices = range(3) if name == "cfdbench" else range(1)
    for index in indices:  # `simulate` refuses what the card does not allow
        trajectory = first(name, "published", index)
        assert trajectory.fields.shape == (card.frames, len(card.channels), *card.native_grid)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_FLOW)
def test_both_profiles_show_one_flow(name):
    fine, coarse = first(name, "published"), first(name, "small")
    assert fine.parameters == coarse.parameters
    factor = fine.fields.shape[-1] // coarse.fields.shape[-1]
    pooled = block_average(fine.fields.astype(np.float64), factor)
    distance = np.linalg.norm(coarse.fields - pooled) / np.linalg.norm(pooled)
    assert distance < ONE_FLOW[name]
