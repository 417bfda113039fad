"""Laws of `foundation shards generate`: the card decides, nothing is done twice or by surprise."""

import sys
from contextlib import nullcontext
from types import ModuleType

import numpy as np
import pytest
from shards_console import console, refused_by_parser

from data_shards.card import merged
from data_shards.catalogue import card_names, expand, ladder_names, load_card, load_ladder
from data_shards.errors import UserError
from data_shards.shards import writer
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from data_shards.trajectory import Trajectory

SMALL = ("--trajectories", 2, "--resolution", 4, "--workers", 1)
TRAIN = (*SMALL, "--split", "train")


@pytest.fixture
def orders(monkeypatch):
    """Noise in place of the solvers; lists what was asked for, in turn."""
    asked = []

    def simulations(card, *, split, count, resolution, seed):
        asked.append((card.name, split, count, resolution, seed))

        def make(index):
            rng = np.random.default_rng([index, seed])
            shape = (card.frames, len(card.channels), *card.grid(resolution))
            fields = rng.normal(size=shape).astype(np.float32)
            return Trajectory(fields, card.name, index, seed, 1.0, (0.0, 1.0, 0.0, 1.0), {})

        return make, count

    class InTurn:
        def __init__(self, series, pool):
            self.series = series

        def trajectories(self, number, first):
            make, count = self.series[number]
            return map(make, range(first, count))

    driver = ModuleType("data_shards.generate.driver")
    driver.simulations, driver.InTurn, driver.worker_pool = simulations, InTurn, nullcontext
    monkeypatch.setitem(sys.modules, driver.__name__, driver)
    return asked


@pytest.fixture
def only_count(monkeypatch):
    """Nothing is made; lists (corpus, split, count, resolution, options) of what would be."""
    asked = []

    def write_all(orders, options):
        for order in orders:
            asked.append(
                (
                    order.card.name,
                    order.split,
                    order.count,
                    order.grid,
                    order.card.generator_options,
                )
            )

    monkeypatch.setattr("launchers.verbs.shards.generate._write_all", write_all)
    return asked


def generated():
    return [name for name in card_names() if load_card(name).generator]


def test_all_means_every_corpus_with_a_generator_and_something_to_forecast(tmp_path, orders):
    cards = [load_card(name) for name in generated()]
    names = [card.name for card in cards if card.rollout_frames and not card.is_box]
    console("generate", "all", "--out", tmp_path, *TRAIN, "--seed", 5)
    assert orders == [(name, "train", 2, 4, 5) for name in names]
    entries = read_manifest(tmp_path).entries
    assert [entry.corpus for entry in entries] == names
    assert all(entry.provenance.seed == 5 for entry in entries)


def test_the_published_profile_is_the_default_with_all_splits_that_have_trajectories(
    tmp_path, only_count
):
    console("generate", "fno_ns_1e-5", "pdebench_swe", "--out", tmp_path)
    cards = {name: load_card(name) for name in ("fno_ns_1e-5", "pdebench_swe")}
    assert cards["fno_ns_1e-5"].splits["validation"] == 0
    assert only_count == [
        (name, split, count, card.grid(card.profiles["published"].resolution), options)
        for name, card in cards.items()
        for split, count in card.splits.items()
        if count
        for options in [card.at("published").generator_options]
    ]


@pytest.mark.parametrize("name", ["cfdbench", "fno_ns_1e-5", "pdebench_cns_m0.1"])
def test_a_profile_brings_its_counts_its_grid_and_its_generator_options(tmp_path, only_count, name):
    console("generate", name, "--profile", "small", "--out", tmp_path)
    card = load_card(name)
    small = card.profiles["small"]
    assert [order[:3] for order in only_count] == [
        (name, split, count) for split, count in small.trajectories.items()
    ]
    assert {order[3] for order in only_count} == {card.grid(small.resolution)}
    wanted = merged(card.generator_options, small.generator_options)
    assert all(order[4] == wanted for order in only_count)


def test_a_count_and_a_resolution_of_ones_own_come_before_the_profile(tmp_path, only_count):
    order = ("generate", "pdebench_dr", "--profile", "small", "--out", tmp_path)
    console(*order, "--trajectories", 3, "--resolution", 16)
    splits = [(split, 3, (16, 16)) for split in ("train", "validation", "test")]
    assert [order[1:4] for order in only_count] == splits


@pytest.mark.parametrize(
    "given", [("--split", "test", "train"), ("--split", "test", "--split", "train", "test")]
)
def test_splits_are_those_asked_for_each_once_and_in_this_order(tmp_path, only_count, given):
    console("generate", "pdebench_dr", "--out", tmp_path, *given)
    assert [order[1] for order in only_count] == ["test", "train"]


@pytest.mark.parametrize("group", ["mixture_6", "downstream"])
def test_a_group_stands_for_its_members(tmp_path, only_count, group):
    console("generate", group, "--out", tmp_path, "--split", "test")
    members = [name for name in card_names() if group in load_card(name).groups]
    assert [order[0] for order in only_count] == [m for m in members if load_card(m).generator]


def test_a_ladder_stands_for_its_rungs_and_each_has_its_own_options(tmp_path, only_count):
    if not ladder_names():
        pytest.skip("no ladders")
    ladder = load_ladder(ladder_names()[0])
    console("generate", ladder.name, "--profile", "small", "--split", "test", "--out", tmp_path)
    assert [order[0] for order in only_count] == ladder.rung_names()
    options = [str(order[4]) for order in only_count]
    assert len(set(options)) == len(options)


def test_names_that_overlap_are_made_once(tmp_path, only_count):
    names = ("pdebench_swe", "mixture_6", "pdebench_swe")
    console("generate", *names, "--out", tmp_path, "--split", "test")
    assert [order[0] for order in only_count] == expand(names)


def test_what_is_there_is_skipped_and_the_rest_is_made(tmp_path, orders, capsys):
    console("generate", "pdebench_swe", "--out", tmp_path, *TRAIN)
    console("generate", "pdebench_dr", "pdebench_swe", "--out", tmp_path, *TRAIN)
    console("generate", "pdebench_swe", "--out", tmp_path, *SMALL, "--split", "test", "train")
    assert [order[:2] for order in orders] == [
        ("pdebench_swe", "train"),
        ("pdebench_dr", "train"),
        ("pdebench_swe", "test"),
    ]
    assert f"pdebench_swe train: already in {tmp_path}, skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        ("--seed", 1),
        ("--trajectories", 3),
        ("--resolution", 8),
        ("--storage", "float16"),
        ("--profile", "small"),
    ],
)
def test_other_settings_need_overwrite_and_are_refused_before_any_work(tmp_path, orders, change):
    corpus = "fno_ns_1e-5"  # its profiles differ in the solver's grid
    console("generate", corpus, "--out", tmp_path, *TRAIN)
    before = read_manifest(tmp_path)
    order = ("generate", "pdebench_dr", corpus, "--out", tmp_path, *TRAIN, *change)
    with pytest.raises(UserError, match=rf"holds another {corpus} train.*add --overwrite"):
        console(*order)
    assert read_manifest(tmp_path) == before
    assert len(orders) == 1
    console(*order, "--overwrite")
    assert len(orders) == 3
    assert read_manifest(tmp_path).entry(corpus, "train") not in before.entries


def test_the_manifest_holds_the_card_that_was_simulated_with(tmp_path, orders):
    card = load_card("fno_ns_1e-5")
    order = ("generate", card.name, "--out", tmp_path, *TRAIN)
    console(*order)
    assert read_manifest(tmp_path).entries[0].card == card.at("published")
    console(*order, "--profile", "small", "--overwrite")
    assert read_manifest(tmp_path).entries[0].card == card.at("small")
    assert card.at("small") != card.at("published")


def test_a_damaged_split_is_made_again_without_being_asked(tmp_path, orders):
    console("generate", "pdebench_swe", "--out", tmp_path, *TRAIN)
    before = read_manifest(tmp_path)
    (tmp_path / before.entries[0].shards[0].name).write_bytes(b"cut")
    console("generate", "pdebench_swe", "--out", tmp_path, *TRAIN)
    assert len(orders) == 2
    assert read_manifest(tmp_path) == before
    ShardedCorpus.open(tmp_path, "pdebench_swe", "train")


def test_a_stopped_split_is_taken_up_in_the_middle_with_the_same_bytes(
    tmp_path, orders, capsys, monkeypatch
):
    order = ("generate", "pdebench_swe", "--trajectories", 5, "--resolution", 4, "--split", "test")
    console(*order, "--out", tmp_path / "whole")
    whole = read_manifest(tmp_path / "whole")
    encode, made = writer.encode, []

    def encode_three(trajectory, *rest):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(trajectory.index)
        return encode(trajectory, *rest)

    monkeypatch.setattr(writer, "encode", encode_three)
    with pytest.raises(KeyboardInterrupt):
        console(*order, "--out", tmp_path / "stopped")
    monkeypatch.setattr(writer, "encode", encode)
    capsys.readouterr()
    console(*order, "--out", tmp_path / "stopped")
    assert "pdebench_swe test: taken up after 3 trajectories" in capsys.readouterr().err
    assert read_manifest(tmp_path / "stopped") == whole


def test_several_splits_show_how_far_the_whole_is(tmp_path, orders, capsys):
    console("generate", "pdebench_dr", "pdebench_swe", "--out", tmp_path, *TRAIN)
    said = capsys.readouterr().err
    assert "all 2 splits: 2/4 trajectories in" in said
    assert "all 2 splits: 4/4 trajectories in" in said


def test_a_split_that_another_process_made_meanwhile_is_not_made_again(
    tmp_path, orders, monkeypatch, capsys
):
    from launchers.verbs.shards import generate as verb

    def late(asked, out, overwrite):
        missing = pending(asked, out, overwrite)
        monkeypatch.setattr(verb, "pending", pending)  # the first look; now the other one finishes
        console("generate", "pdebench_swe", "--out", tmp_path, *TRAIN)
        return missing

    pending = verb.pending
    monkeypatch.setattr(verb, "pending", late)
    console("generate", "pdebench_swe", "pdebench_dr", "--out", tmp_path, *TRAIN)
    text = capsys.readouterr().err
    assert "pdebench_swe train: already in" in text
    assert text.count("pdebench_swe train: 1 shards") == 1
    assert {entry.corpus for entry in read_manifest(tmp_path).entries} == {
        "pdebench_swe",
        "pdebench_dr",
    }


def test_an_unknown_corpus_is_refused_with_the_nearest_name(tmp_path, orders):
    with pytest.raises(UserError, match="'pdebench_sew'; did you mean 'pdebench_swe'"):
        console("generate", "pdebench_dr", "pdebench_sew", "--out", tmp_path, *TRAIN)
    assert orders == []


@pytest.mark.parametrize("name", ["", "../cards/cfdbench", "ALL", "cfdbench.yaml", "*", "a\nb"])
def test_a_name_that_is_no_name_is_refused(tmp_path, orders, name):
    with pytest.raises(UserError, match="unknown corpus"):
        console("generate", name, "--out", tmp_path, *TRAIN)
    assert not list(tmp_path.iterdir())


def test_a_split_that_the_profile_lacks_wants_a_number(tmp_path, orders):
    order = ("generate", "fno_ns_1e-5", "--out", tmp_path, "--split", "validation")
    with pytest.raises(UserError, match=r"no validation split.*--trajectories N"):
        console(*order)
    console(*order, "--trajectories", 2, "--resolution", 4)
    assert read_manifest(tmp_path).entry("fno_ns_1e-5", "validation").count == 2


def without_generator(name):
    card = load_card(name)
    return card.model_copy(update={"generator": None, "generator_options": {}})


def test_a_corpus_without_a_generator_is_refused_by_name_and_left_out_of_a_group(
    tmp_path, only_count, monkeypatch, capsys
):
    def load(name):
        return without_generator(name) if name == "cfdbench" else load_card(name)

    monkeypatch.setattr("launchers.verbs.shards.generate.load_card", load)
    with pytest.raises(UserError, match="cfdbench has no generator; convert its published files"):
        console("generate", "pdebench_dr", "cfdbench", "--out", tmp_path)
    assert only_count == []
    console("generate", "mixture_6", "--out", tmp_path, "--split", "test")
    assert "cfdbench" not in [order[0] for order in only_count]
    assert len(only_count) == 5
    assert "left out: cfdbench has no generator" in capsys.readouterr().err


def test_a_card_without_the_profile_is_refused(tmp_path, only_count, monkeypatch):
    bare = load_card("pdebench_dr").model_copy(update={"profiles": {}})
    monkeypatch.setattr("launchers.verbs.shards.generate.load_card", lambda name: bare)
    with pytest.raises(UserError, match="no profile 'small'"):
        console("generate", "pdebench_dr", "--profile", "small", "--out", tmp_path)
    console("generate", "pdebench_dr", "--out", tmp_path)  # published: what the card itself says
    assert only_count[0][2:4] == (bare.splits["train"], bare.native_grid)


@pytest.mark.parametrize("option", ["--trajectories", "--resolution", "--workers", "--shard-mib"])
@pytest.mark.parametrize("value", ["0", "-3", "many", "1.5", ""])
def test_a_number_that_cannot_be_is_refused_by_the_parser(tmp_path, capsys, option, value):
    said = refused_by_parser(capsys, "generate", "pdebench_swe", "--out", tmp_path, option, value)
    assert option in said


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (("--split", "dev"), "dev"),
        (("--split", "test", "dev"), "dev"),
        (("--split",), "--split"),
        (("--profile", "large"), "large"),
        (("--storage", "float64"), "float64"),
        (("--seed", "-1"), "--seed"),
        (("--seed", "x"), "--seed"),
    ],
)
def test_a_choice_that_there_is_not_is_refused_by_the_parser(tmp_path, capsys, extra, named):
    assert named in refused_by_parser(capsys, "generate", "cfdbench", "--out", tmp_path, *extra)


def test_an_output_that_is_a_file_is_refused_in_one_line(tmp_path, orders):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write shards there"):
        console("generate", "pdebench_dr", "--out", tmp_path / "file", *TRAIN)


def test_its_help_names_every_corpus_ladder_and_group(capsys):
    with pytest.raises(SystemExit):
        console("generate", "--help")
    text = capsys.readouterr().out
    for name in (*generated(), *ladder_names(), "all", "mixture_6", "downstream", "ood"):
        assert name in text


def test_info_tells_the_profile_of_what_was_generated(tmp_path, orders, capsys):
    order = ("generate", "elliptic_poisson", "--split", "test", "--trajectories", 2)
    console(*order, "--profile", "small", "--out", tmp_path)
    console("info", tmp_path)
    assert "seed 0, profile small" in capsys.readouterr().out
    console(*order, "--resolution", 8, "--out", tmp_path, "--overwrite")
    console("info", tmp_path)
    assert "profile" not in capsys.readouterr().out


def test_info_names_both_profiles_where_only_their_number_of_trajectories_differs(
    tmp_path, orders, capsys
):
    card = load_card("ising_4")
    assert card.at("small") == card.at("published")
    few = card.profiles["small"].trajectories["test"]
    for count, words in ((2, "profile published or small"), (few, "profile small")):
        order = ("generate", card.name, "--split", "test", "--trajectories", count, "--overwrite")
        console(*order, "--profile", "small", "--out", tmp_path)
        console("info", tmp_path)
        assert f"seed 0, {words}\n" in capsys.readouterr().out
