"""Laws of `foundation shards`: resumable, never silently other data, every fault named."""

import argparse
import json
import re
import sys
from contextlib import nullcontext
from types import ModuleType

import numpy as np
import pytest

from data_shards import writer
from data_shards.catalogue import card_names, load_card
from data_shards.corpus import ShardedCorpus
from data_shards.errors import UserError
from data_shards.manifest import read_manifest
from data_shards.trajectory import Trajectory
from launchers import progress as progress_module
from launchers.progress import progress
from launchers.verbs import shards


def console(*arguments):
    parser = argparse.ArgumentParser(prog="foundation")
    shards.add_verb(parser.add_subparsers())
    options = parser.parse_args(["shards", *map(str, arguments)])
    return options.run(options)


@pytest.fixture
def orders(monkeypatch):
    """Noise in place of the solvers; lists what was asked for."""
    asked = []

    def generate_corpus(card, *, split, count, resolution, seed, pool, first):
        asked.append((card.name, split, count, resolution, seed, pool))
        for index in range(first, count):
            rng = np.random.default_rng([index, seed])
            shape = (card.frames, len(card.channels), resolution, resolution)
            fields = rng.normal(size=shape).astype(np.float32)
            yield Trajectory(fields, card.name, index, seed, 1.0, (0.0, 1.0, 0.0, 1.0), {})

    driver = ModuleType("data_shards.generate.driver")
    driver.generate_corpus = generate_corpus
    driver.worker_pool = nullcontext
    monkeypatch.setitem(sys.modules, driver.__name__, driver)
    return asked


SMALL = ("--trajectories", 2, "--resolution", 4, "--workers", 1)


def test_all_means_every_known_corpus(tmp_path, orders):
    console("generate", "all", "--out", tmp_path, *SMALL, "--seed", 5)
    assert orders == [(name, "train", 2, 4, 5, 1) for name in card_names()]
    entries = read_manifest(tmp_path).entries
    assert [entry.corpus for entry in entries] == sorted(card_names())
    assert all(entry.provenance.seed == 5 for entry in entries)


def test_counts_and_resolution_come_from_the_card_by_default(tmp_path, orders, monkeypatch):
    card = load_card("pdebench_swe")
    monkeypatch.setattr(writer, "write_corpus", lambda *a, **options: exit_with(options["count"]))
    with pytest.raises(SystemExit) as asked:
        console("generate", "pdebench_swe", "--out", tmp_path, "--split", "test")
    assert asked.value.code == card.splits["test"]


def exit_with(code):
    raise SystemExit(code)


def test_what_is_there_is_skipped_and_the_rest_is_made(tmp_path, orders, capsys):
    console("generate", "pdebench_swe", "--out", tmp_path, *SMALL)
    console("generate", "pdebench_dr", "pdebench_swe", "--out", tmp_path, *SMALL)
    console("generate", "pdebench_swe", "--out", tmp_path, *SMALL, "--split", "test")
    assert [order[:2] for order in orders] == [
        ("pdebench_swe", "train"),
        ("pdebench_dr", "train"),
        ("pdebench_swe", "test"),
    ]
    assert f"pdebench_swe train: already in {tmp_path}, skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change", [("--seed", 1), ("--trajectories", 3), ("--resolution", 8), ("--storage", "float16")]
)
def test_other_settings_need_overwrite_and_are_refused_before_any_work(tmp_path, orders, change):
    console("generate", "pdebench_swe", "--out", tmp_path, *SMALL)
    before = read_manifest(tmp_path)
    order = ("generate", "pdebench_dr", "pdebench_swe", "--out", tmp_path, *SMALL, *change)
    with pytest.raises(UserError, match=r"holds another pdebench_swe train.*add --overwrite"):
        console(*order)
    assert read_manifest(tmp_path) == before
    assert len(orders) == 1
    console(*order, "--overwrite")
    assert len(orders) == 3
    assert read_manifest(tmp_path).entry("pdebench_swe", "train") not in before.entries


def test_a_damaged_split_is_made_again_without_being_asked(tmp_path, orders):
    console("generate", "pdebench_swe", "--out", tmp_path, *SMALL)
    before = read_manifest(tmp_path)
    (tmp_path / before.entries[0].shards[0].name).write_bytes(b"cut")
    console("generate", "pdebench_swe", "--out", tmp_path, *SMALL)
    assert len(orders) == 2
    assert read_manifest(tmp_path) == before
    ShardedCorpus.open(tmp_path, "pdebench_swe", "train")


def test_an_unknown_corpus_is_refused_with_the_nearest_name(tmp_path, orders):
    with pytest.raises(UserError, match="'pdebench_sew'; did you mean 'pdebench_swe'"):
        console("generate", "pdebench_dr", "pdebench_sew", "--out", tmp_path, *SMALL)
    assert orders == []


@pytest.mark.parametrize("option", ["--trajectories", "--resolution", "--workers", "--shard-mib"])
@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_a_number_that_cannot_be_is_refused_by_the_parser(tmp_path, capsys, option, value):
    with pytest.raises(SystemExit) as exit_code:
        console("generate", "pdebench_swe", "--out", tmp_path, option, value)
    assert exit_code.value.code == 2
    assert option in capsys.readouterr().err


def test_verify_prints_a_summary_or_every_fault(own_folder, capsys):
    console("verify", own_folder)
    assert re.search("7 trajectories.*all bytes read: no faults", capsys.readouterr().out)
    console("verify", own_folder, "--quick")
    assert "sizes only: no faults" in capsys.readouterr().out
    next(own_folder.glob("*.tar")).unlink()
    with pytest.raises(UserError, match="1 faults"):
        console("verify", own_folder)
    assert "tar: missing" in capsys.readouterr().out


def test_verify_speaks_json(own_folder, capsys):
    next(own_folder.glob("*000001.tar")).unlink()
    with pytest.raises(UserError):
        console("verify", own_folder, "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["faults"][0]["shard"] == "toy_flow-train-000001.tar"


def test_info_shows_what_is_there_and_as_json_the_manifest(toy_folder, capsys):
    console("info", toy_folder)
    text = capsys.readouterr().out
    assert "toy_gas train" in text
    assert "c3 [m/s]" in text
    console("info", toy_folder, "--json")
    assert json.loads(capsys.readouterr().out) == read_manifest(toy_folder).model_dump(mode="json")


@pytest.mark.parametrize("verb", [(), ("generate",), ("verify",), ("info",)])
def test_every_help_has_an_example(verb, capsys):
    with pytest.raises(SystemExit) as exit_code:
        console(*verb, "--help")
    assert exit_code.value.code == 0
    assert "foundation shards " in capsys.readouterr().out.split("example", 1)[1]


def test_progress_passes_items_on_and_ends_with_a_plain_line(capsys):
    assert list(progress(iter("abc"), total=3, label="work", unit="letters")) == list("abc")
    assert re.fullmatch(r"work: 3/3 letters in \d+\.\d s\n", capsys.readouterr().err)


def test_progress_estimates_what_is_left(capsys, monkeypatch):
    clock = iter([0.0, 60.0, 65.0, 120.0, 30_000.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    list(progress(range(4), total=400, label="work"))
    assert capsys.readouterr().err.splitlines() == [
        "work: 1/400 it in 1 min 00 s, about 6 h 39 min left",
        "work: 3/400 it in 2 min 00 s, about 4 h 24 min left",
        "work: 4/400 it in 8 h 20 min, about 825 h 00 min left",
    ]
