"""What every card that ships must hold, and what names stand for."""

from math import isclose
from typing import get_args

import pytest

from data_shards.card import CorpusCard, Group, Split, merged
from data_shards.catalogue import (
    card_names,
    earlier_names,
    expand,
    ladder_names,
    load_card,
    read_card,
)
from data_shards.errors import UserError
from data_shards.generate import simulate

SIX = {
    "fno_ns_1e-3", "fno_ns_1e-5", "pdebench_cns_m0.1", "pdebench_swe", "pdebench_dr", "cfdbench",
}  # fmt: skip
GENERATED = [name for name in card_names() if load_card(name).generator]


def test_groups_are_the_mixtures_of_the_sources():
    assert set(expand(["mixture_6"])) == SIX
    ten, twelve = expand(["mixture_10"]), expand(["mixture_12"])
    assert (len(ten), len(twelve)) == (10, 12)
    assert set(ten) < set(twelve)
    assert set(ten) > SIX
    gases = {f"pdebench_cns_m{mach}{eta}" for mach in ("0.1", "1") for eta in ("", "_eta0.1")}
    assert gases < set(twelve)
    assert {"fno_ns_1e-4", "pdebench_cns_m1", "pdearena_ns"} <= set(expand(["downstream"]))
    assert not SIX & set(expand(["downstream"]))  # what is fine-tuned on was not trained on


@pytest.mark.parametrize("name", GENERATED)
def test_every_generated_corpus_has_a_published_and_a_small_profile(name):
    card = load_card(name)
    published, small = card.profiles["published"], card.profiles["small"]
    assert published.resolution == card.native_grid[-1]
    assert small.resolution <= published.resolution
    assert small.trajectories is not None
    assert set(small.trajectories) == set(get_args(Split))
    # Enough to be scored, few enough to be made while one waits.
    assert min(small.trajectories.values()) >= 1
    most = 100 if card.frames > 1 else 2000  # steady states are made in no time
    assert sum(small.trajectories.values()) <= most
    assert card.splits["train"] > small.trajectories["train"]


@pytest.mark.parametrize("name", GENERATED)
def test_the_rollout_of_a_corpus_starts_after_the_context(name):
    card = load_card(name)
    assert card.context_frames + card.rollout_frames <= card.frames
    assert len(card.extent or (0, 1, 0, 1)) == 2 * len(card.native_grid)


def test_cells_are_square_where_the_card_fixes_the_domain():
    for name in card_names():
        card = load_card(name)
        if card.extent is None or 1 in card.native_grid:
            continue
        rows, columns = card.native_grid[-2:]
        x_min, x_max, y_min, y_max = card.extent[:4]
        assert isclose((x_max - x_min) / columns, (y_max - y_min) / rows), name


def test_a_profile_changes_only_the_options_it_names():
    card = load_card("cfdbench")
    published = card.at("published").generator_options
    assert published["solver_resolution"] == 128
    assert published["tube"]["rise_time"] is None
    assert published["tube"]["density"] == card.generator_options["tube"]["density"]
    assert card.at("small").generator_options == card.generator_options


def test_merging_replaces_leaves_and_changes_neither_argument():
    base, changes = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": {"e": 4}}}
    assert merged(base, changes) == {"a": {"b": 1, "c": {"e": 4}}, "d": 3}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}
    assert changes == {"a": {"c": {"e": 4}}}


def test_all_are_the_planes_with_a_generator_and_a_future_and_names_stand_once():
    cards = map(load_card, GENERATED)
    forecast = [card.name for card in cards if card.window == "next" and not card.is_box]
    assert expand(["all"]) == forecast
    assert expand(["mixture_6", "pdebench_dr", "all"])[:6] == expand(["mixture_6"])
    assert len(expand(["mixture_6", "all"])) == len(forecast)


def test_a_ladder_stands_for_its_rungs_and_a_rung_for_itself():
    for ladder in ladder_names():
        rungs = expand([ladder])
        assert len(rungs) > 1
        assert expand(rungs[:1]) == rungs[:1]
        assert "ood" in load_card(rungs[0]).groups


@pytest.mark.parametrize("name", earlier_names())
def test_an_earlier_version_goes_by_the_name_and_differs_from_todays(name):
    corpus, _, version = name.partition("@")
    earlier, today = load_card(name), load_card(corpus)
    assert (earlier.name, earlier.version) == (corpus, int(version))
    assert earlier.version < today.version
    for profile in today.profiles:
        assert earlier.at(profile).generator_options != today.at(profile).generator_options
    assert expand([name]) == [name]
    assert name not in expand(["all", *get_args(Group)[:4]])


def test_splits_of_published_files_test_on_what_the_authors_test_on():
    """MoE-POT's and DPOT's preparation keeps the first of those that do not train."""
    for name in expand(["mixture_12"]):
        card = load_card(name)
        if name.startswith("pdebench_cns"):
            assert card.published.splits["test"] == (9000, 9200), name
        elif name in ("pdebench_swe", "pdebench_dr"):
            assert card.published.splits["test"] == (900, 960), name


def test_ladders_have_the_versions_of_their_bases():
    assert expand(["cns_mach@2"]) == [f"{rung}@2" for rung in expand(["cns_mach"])]
    assert expand(["cns_mach_0.2@2"]) == ["cns_mach_0.2@2"]
    rung = load_card("cns_mach_0.2@2")
    assert rung.name == "cns_mach_0.2"
    assert rung.generator_options["stress"] == "full"
    assert load_card("cns_mach_0.2").generator_options["stress"] == "pdebench"
    assert expand(["cns_mach@earlier"]) == expand(["cns_mach@2"])
    six = {"pdebench_cns_m0.1@2", "fno_ns_1e-3@1", "fno_ns_1e-5@1"}
    kept = {"pdebench_swe", "pdebench_dr", "cfdbench"}
    assert set(expand(["mixture_6@earlier"])) == six | kept
    with pytest.raises(UserError, match="cns_mach@7"):
        expand(["cns_mach@7"])


# Of the first test trajectory: the deviation of the second frame, and one of its values, as these
# names gave them before their cards changed.
MADE = {"pdebench_cns_m0.1@2": [0.0405926, 0.0695098], "fno_ns_1e-3@1": [0.167558, 0.0134998]}


@pytest.mark.parametrize(("name", "numbers"), MADE.items())
def test_an_earlier_version_makes_what_it_made(name, numbers):
    card = load_card(name).at("small")
    short = card.model_copy(update={"frames": 2, "rollout_frames": 0, "context_frames": 1})
    made = simulate(short, split="test", index=0, seed=0, resolution=64).fields[1, 0]
    assert [float(made.std()), float(made[30, 30])] == pytest.approx(numbers, rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("pdebench_sew", "pdebench_swe"),
        ("mixture6", "mixture_6"),
        ("ns_viscocity", "ns_viscosity"),
        ("swe_depth_3.0", "swe_depth_3"),
    ],
)
def test_unknown_names_are_the_users_error_with_the_nearest_one(wrong, nearest):
    with pytest.raises(UserError, match=f"did you mean '{nearest}'"):
        expand([wrong])


def test_every_group_has_members_or_is_that_of_the_ladders():
    for group in get_args(Group):
        assert group == "ood" or expand([group]), group


def test_a_card_of_the_users_own_has_its_own_name_under_any_files(tmp_path):
    card = load_card("pdebench_dr")
    path = tmp_path / "own.yaml"
    path.write_text(card.model_dump_json())  # JSON is YAML
    assert read_card(path) == card


def test_a_window_longer_than_the_trajectory_is_refused():
    values = load_card("pdebench_dr").model_dump() | {"rollout_frames": 92}
    with pytest.raises(UserError, match="exceed frames=101"):
        CorpusCard.read(values, "card")
