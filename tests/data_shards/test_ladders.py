"""Laws of the shift ladders: one parameter changes, distance grows, every rung is admissible."""

from itertools import pairwise

import numpy as np
import pytest

from data_shards.card import CorpusCard, merged
from data_shards.catalogue import expand, ladder_names, load_card, load_ladder
from data_shards.errors import UserError
from data_shards.generate import simulate
from data_shards.ladders import Ladder

LADDERS = ladder_names()
RUNGS = expand(LADDERS)
# Which rungs take longer than a few seconds.
DEAR = {"ns_viscosity_1e-06", "ns_viscosity_3e-06", "ns_viscosity_1e-05", "ns_viscosity_3e-05",
        "cns_viscosity_0.1", "cylinder_reynolds_500", "cylinder_reynolds_350",
        "cylinder_reynolds_700", "cylinder_reynolds_1000"}  # fmt: skip
STEADY = {"poisson_anisotropy", "advection_ratio", "helmholtz_omega"}
STATES = {
    "particle_1d_strength",
    *(f"ising_{chain}_field" for chain in ("4", "8", "10", "12", "open_8")),
}
# Which lead one way: there is no anisotropy below 1, less advection or frequency is Poisson's, and
# without a field or a potential there is nothing to ask.
UPWARDS = STEADY | STATES


def parameter(card: CorpusCard) -> tuple[float, float]:
    assert card.shift is not None
    limits = card.parameters[card.shift.parameter]
    return limits.low, limits.high


def test_the_promised_ladders_are_there():
    assert set(LADDERS) == {
        "ns_viscosity", "cns_mach", "cns_viscosity", "swe_radius", "swe_depth", "dr_diffusion",
        "cylinder_reynolds", "poisson_anisotropy", "advection_ratio", "helmholtz_omega",
        *STATES,
    }  # fmt: skip


@pytest.mark.parametrize("name", LADDERS)
def test_distance_grows_with_every_rung_away_from_what_is_trained(name):
    ladder = load_ladder(name)
    low, high = min(ladder.trained), max(ladder.trained)
    values = [rung.value for rung in ladder.rungs]
    below = [ladder.distance(value) for value in values if value < low]
    above = [ladder.distance(value) for value in values if value > high]
    assert all(near < far for far, near in pairwise(below))
    assert all(near < far for near, far in pairwise(above))
    assert above, "no rung beyond the trained values"
    assert below or name in UPWARDS, "no rung short of the trained values"
    assert min(below + above) > 0


@pytest.mark.parametrize("name", LADDERS)
def test_one_rung_is_what_models_are_trained_on_and_the_curve_starts_there(name):
    ladder = load_ladder(name)
    inside = [rung for rung in ladder.rungs if ladder.distance(rung.value) == 0]
    assert inside
    base = load_card(ladder.base).parameters[ladder.parameter]
    for rung in inside:
        assert min(ladder.trained) <= rung.value <= max(ladder.trained)
    assert base.low <= max(ladder.trained)
    assert base.high >= min(ladder.trained)


@pytest.mark.parametrize("name", LADDERS)
def test_a_rung_is_its_base_but_for_the_shifted_parameter(name):
    ladder = load_ladder(name)
    base = load_card(ladder.base)
    for rung_name, rung in zip(ladder.rung_names(), ladder.rungs, strict=True):
        card = load_card(rung_name)
        changed = {key for key in card.parameters if card.parameters[key] != base.parameters[key]}
        assert changed <= {ladder.parameter, *ladder.tied, *rung.parameters}
        low, high = parameter(card)
        assert low <= rung.value <= high
        assert card.generator_options == merged(base.generator_options, rung.options)
        assert card.context_frames + card.rollout_frames <= card.frames <= base.frames
        for kept in ("channels", "dt_s", "boundary", "extent", "rollout_frames", "pde"):
            assert getattr(card, kept) == getattr(base, kept)
        assert card.shift is not None
        assert card.shift.distance == ladder.distance(rung.value)
        assert (card.published is not None) == ladder.convertible
        assert card.statistics == ()
        assert card.profiles["small"].resolution == base.profiles["small"].resolution
        assert card.profiles["small"].trajectories == ladder.small


def test_options_of_full_fidelity_are_merged_there_alone():
    card = load_card("ns_viscosity_1e-05")
    assert card.at("small").generator_options["solver_resolution"] == 192
    assert card.at("published").generator_options["solver_resolution"] == 256
    assert card.at("published").generator_options["viscosity"] == 1e-5


LOG = {
    "name": "l", "title": "t", "base": "pdebench_dr", "parameter": "p", "trained": (1.0, 100.0),
}  # fmt: skip


def test_distance_is_in_decades_or_in_widths_of_the_trained_range():
    rungs = ({"value": 10.0},)
    points = Ladder.read(LOG | {"rungs": rungs}, "ladder")
    assert [points.distance(v) for v in (0.1, 1, 10, 1000)] == pytest.approx([1, 0, 1, 1])
    between = Ladder.read(LOG | {"rungs": rungs, "interval": True}, "ladder")
    assert between.distance(10) == 0
    assert between.distance(0.01) == pytest.approx(2)
    linear = Ladder.read(LOG | {"rungs": rungs, "interval": True, "scale": "linear"}, "ladder")
    assert linear.distance(298) == pytest.approx(2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rungs": ()}, "one or more"),
        ({"rungs": ({"value": 2.0}, {"value": 1.0})}, "rising"),
        ({"rungs": ({"value": 1.0}, {"value": 1.0})}, "each once"),
        ({"rungs": ({"value": 2.0, "range": (3.0, 4.0)},)}, "outside its range"),
        ({"rungs": ({"value": -1.0},)}, "must be positive"),
        ({"rungs": ({"value": 1.0},), "trained": (1.0,), "interval": True}, "both ends"),
        ({"rungs": ({"value": 1.0},), "trained": ()}, "wanted values"),
    ],
)
def test_ladders_that_measure_nothing_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Ladder.read(LOG | changes, "ladder")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in DEAR else n for n in RUNGS]
)
def test_first_trajectory_of_a_rung_is_admissible_and_says_where_it_stands(name):
    card = load_card(name).at("small")
    resolution = card.profiles["small"].resolution
    # `simulate` refuses what is not finite, not positive, frozen, or off the card.
    trajectory = simulate(card, split="test", index=0, seed=0, resolution=resolution)
    low, high = parameter(card)
    assert card.shift is not None
    assert low * (1 - 1e-9) <= trajectory.parameters[card.shift.parameter] <= high * (1 + 1e-9)
    assert trajectory.fields.shape[2:] == card.grid(resolution)


@pytest.mark.parametrize("name", ["swe_depth", "swe_radius", "cns_mach", "dr_diffusion"])
def test_rungs_draw_the_same_random_numbers_and_give_other_flows(name):
    ladder = load_ladder(name)
    first, second = (
        load_card(rung).model_copy(update={"frames": 12, "rollout_frames": 2})
        for rung in ladder.rung_names()[2:4]
    )
    a, b = (
        simulate(card, split="test", index=1, seed=0, resolution=16) for card in (first, second)
    )
    same = set(a.parameters) - {ladder.parameter}
    assert all(a.parameters[key] == b.parameters[key] for key in same)
    assert np.abs(a.fields - b.fields).max() > 1e-3 * np.abs(a.fields).max()


@pytest.mark.parametrize(
    ("name", "positions"),
    [("poisson_anisotropy", (0, 3)), ("advection_ratio", (1, 3)), ("helmholtz_omega", (1, 4))],
)
def test_rungs_of_steady_problems_have_the_same_sources_and_other_solutions(name, positions):
    rungs = [load_ladder(name).rung_names()[position] for position in positions]
    for index in range(3):
        a, b = (
            simulate(load_card(rung), split="train", index=index, seed=0, resolution=32)
            for rung in rungs
        )
        np.testing.assert_array_equal(a.fields[0, 0], b.fields[0, 0])
        gap = np.abs(a.fields[0, 1] - b.fields[0, 1]).max()
        assert gap > 0.1 * np.abs(a.fields[0, 1]).max()


def test_files_of_a_rung_are_read_as_the_bases_and_have_no_names():
    for name in STEADY:
        base = load_card(load_ladder(name).base).published
        rung = load_card(load_ladder(name).rung_names()[1]).published
        assert (rung.reader, rung.options, rung.files) == (base.reader, base.options, ())


@pytest.mark.parametrize("name", sorted(STEADY))
def test_steady_ladders_have_enough_to_learn_from_at_either_size(name):
    for rung in load_ladder(name).rung_names():
        sizes = load_card(rung).profiles
        assert sizes["small"].trajectories == {"train": 128, "validation": 64, "test": 64}
        assert sizes["published"].trajectories["train"] == 4096


def test_draws_of_a_rung_are_within_its_range_and_reach_its_ends():
    card = load_card("helmholtz_omega_13")
    drawn = {
        simulate(card, split="train", index=index, seed=0, resolution=16).parameters["omega"]
        for index in range(40)
    }
    assert drawn == {11, 12, 13, 14, 15}


@pytest.mark.parametrize("name", ["swe_radius_0.1", "swe_radius_1.5", "cylinder_reynolds_160"])
def test_trajectories_of_a_rung_differ_even_if_only_the_shifted_parameter_is_random(name):
    card = load_card(name).model_copy(update={"frames": 11, "rollout_frames": 1})
    a, b = (simulate(card, split="test", index=n, seed=0, resolution=64) for n in (0, 1))
    assert np.abs(a.fields - b.fields).max() > 1e-3 * np.abs(a.fields).max()
