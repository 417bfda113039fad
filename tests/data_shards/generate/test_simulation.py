"""One trajectory of every corpus: deterministic, within its card, distinct."""

import numpy as np
import pytest

from data_shards.card import CorpusCard
from data_shards.catalogue import card_names, load_card
from data_shards.errors import UserError
from data_shards.generate import SimulationError, simulate
from data_shards.generate.solution import block_average, num_steps, refinement
from data_shards.trajectory import Trajectory

RESOLUTION = 16
GENERATED = [name for name in card_names() if load_card(name).generator]


def cheap(name: str) -> CorpusCard:
    """The card with a coarse solver and few frames, where cost and not accuracy matters."""
    card = load_card(name)
    options = dict(card.generator_options)
    if "solver_resolution" in options:
        options["solver_resolution"] = 64 if card.generator == "vorticity" else 16
    if card.is_box:
        fast = {"spin_up": 0.1, "settle": 0.1, "steps_per_frame": 1}
        options |= {key: value for key, value in fast.items() if key in options}
        options |= {"frame_interval": options["frame_interval"] / 2}
    changes = {"generator_options": options}
    if card.rollout_frames:  # not steady
        changes |= {"frames": 12, "context_frames": 10, "rollout_frames": 2}
    return card.model_copy(update=changes)


def one(card: CorpusCard, **changes: object) -> Trajectory:
    return simulate(
        card, **({"split": "train", "index": 0, "seed": 0, "resolution": cells(card)} | changes)
    )


def cells(card: CorpusCard) -> int:
    return card.native_grid[-1] if card.axis == "states" else RESOLUTION


@pytest.mark.parametrize("name", GENERATED)
def test_trajectory_follows_its_card_and_its_arguments_alone(name):
    card = cheap(name)
    first, again = one(card), one(card)
    np.testing.assert_array_equal(first.fields, again.fields)
    assert first.parameters == again.parameters
    assert first.fields.shape == (card.frames, len(card.channels), *card.grid(cells(card)))
    assert (first.corpus, first.index, first.seed) == (name, 0, 0)
    sides = {"left", "right", "bottom", "top"} | ({"front", "back"} if card.is_box else set())
    assert set(first.boundary) == sides
    least = 1e-4 if card.axis == "states" else 1e-3  # ground states hardly move in their range
    for changes in ({"seed": 1}, {"split": "test"}, {"index": 3}):
        other = one(card, **changes)
        assert np.abs(other.fields - first.fields).max() > least * np.abs(first.fields).max()


def test_every_number_on_the_card_of_a_parameter_is_used():
    for name in GENERATED:
        card = cheap(name)
        indices = range(3) if name == "cfdbench" else range(1)
        seen = {key for index in indices for key in one(card, index=index).parameters}
        assert seen - {"problem", "medium"} == set(card.parameters), name


def test_cfdbench_deals_its_problems_in_turn():
    card = cheap("cfdbench")
    trajectories = [one(card, index=index) for index in range(3)]
    assert [t.parameters["problem"] for t in trajectories] == ["cavity", "tube", "cylinder"]
    assert [t.mask is None for t in trajectories] == [True, True, False]
    assert trajectories[0].boundary["top"] == "moving_lid"
    assert len({t.dt_s for t in trajectories}) == 3


@pytest.mark.parametrize("name", ["fno_ns_1e-3", "pdebench_cns_m0.1", "pdebench_swe"])
def test_one_index_is_one_flow_at_every_resolution(name):
    card = cheap(name)
    if name == "pdebench_swe":  # the dam's edge is resolved by the solver's grid alone
        card = card.model_copy(
            update={"generator_options": card.generator_options | {"solver_resolution": 64}}
        )
    fine, coarse = one(card, resolution=32), one(card, resolution=16)
    assert fine.parameters == coarse.parameters
    if name == "fno_ns_1e-3":  # point values of the large waves, at coinciding points
        pooled = fine.fields[..., ::2, ::2]
    else:
        pooled = block_average(fine.fields.astype(float), 2)
    # Coarse grids of different accuracy, same flow: far nearer than two flows are (about 1).
    distance = np.linalg.norm(pooled[0] - coarse.fields[0]) / np.linalg.norm(pooled[0])
    assert distance < 0.15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 4}, "resolution=4"),
        ({"seed": -1}, "seed=-1"),
        ({"index": -1}, "index=-1"),
        ({"split": "tets"}, "did you mean 'test'"),
    ],
)
def test_arguments_out_of_range_are_the_users_error(changes, message):
    with pytest.raises(UserError, match=message):
        one(load_card("pdebench_dr"), **changes)


def test_unknown_generators_and_options_are_the_users_error():
    card = load_card("pdebench_dr")
    with pytest.raises(UserError, match="did you mean 'vorticity'"):
        one(card.model_copy(update={"generator": "vorticty"}))
    options = card.generator_options | {"tolerence": 1e-3}
    with pytest.raises(UserError, match="tolerance"):
        one(card.model_copy(update={"generator_options": options}))


def test_a_diverging_solver_is_refused_by_name():
    card = cheap("pdebench_swe")
    wild = card.generator_options | {"courant": 40.0}
    with pytest.raises(SimulationError, match="pdebench_swe trajectory 0"):
        one(card.model_copy(update={"generator_options": wild, "dt_s": 1.0}))


def test_card_without_domain_is_the_users_error():
    with pytest.raises(UserError, match="extent=None"):
        one(cheap("fno_ns_1e-3").model_copy(update={"extent": None}))


def test_steps_cover_the_duration_and_are_stable():
    assert num_steps(1.0, 0.3) == 4
    assert num_steps(1.0, 2.0) == 1
    for broken in (float("nan"), float("inf"), 0.0):
        with pytest.raises(FloatingPointError, match="diverged"):
            num_steps(1.0, broken)


@pytest.mark.parametrize(("resolution", "factor"), [(16, 4), (48, 2), (64, 1), (128, 1)])
def test_solver_grid_is_a_multiple_of_the_output_grid_and_fine_enough(resolution, factor):
    assert refinement(resolution, 64) == factor


def test_block_average_keeps_the_mean(rng):
    fields = rng.standard_normal((3, 8, 12))
    averaged = block_average(fields, 4)
    assert averaged.shape == (3, 2, 3)
    np.testing.assert_allclose(averaged.mean(axis=(1, 2)), fields.mean(axis=(1, 2)))
    np.testing.assert_allclose(averaged[0, 1, 2], fields[0, 4:, 8:].mean())
