"""Laws of `foundation shards convert` on files that say little, and what it says itself."""

import shlex

import h5py
import numpy as np
import pytest
import yaml
from bare_card import bare_card
from published_files import (
    COLUMNS,
    ROWS,
    numbered,
    write_cns,
    write_mat73,
)
from shards_console import console, refused_by_parser, write_card
from well_files import write_well

from data_shards.card import CorpusCard
from data_shards.catalogue import card_names, load_card
from data_shards.errors import UserError
from data_shards.read import READERS
from data_shards.shards.manifest import read_manifest


def test_a_shipped_card_needs_no_file_but_the_raw_ones(tmp_path):
    (tmp_path / "raw").mkdir()
    name = load_card("pdebench_swe").published.files[0].name
    with pytest.raises(UserError, match=f"holds no {name}.*published at https"):
        console("convert", "pdebench_swe", "--raw", tmp_path / "raw", "--out", tmp_path / "out")


@pytest.mark.parametrize(
    "extra",
    [
        ("--limit", "0"),
        ("--resolution", "-1"),
        ("--split", "dev"),
        ("--option", "novalue"),
        ("--storage", "int8"),
    ],
)
def test_what_cannot_be_is_refused_by_the_parser(capsys, tmp_path, extra):
    order = ("convert", "pdebench_swe", "--raw", tmp_path, "--out", tmp_path / "out")
    assert extra[0] in refused_by_parser(capsys, *order, *extra)


def test_its_help_says_which_file_every_corpus_wants(capsys):
    with pytest.raises(SystemExit):
        console("convert", "--help")
    text = capsys.readouterr().out
    for name in card_names():
        published = load_card(name).published
        for file in published.files if published else ():
            assert file.name in text
        assert (published is None) or name in text


def test_its_help_lines_files_up_and_lists_the_readers(capsys):
    with pytest.raises(SystemExit):
        console("convert", "--help")
    text = capsys.readouterr().out
    assert set(READERS) <= set(text.replace(",", " ").split())
    named = {name: load_card(name).published for name in card_names()}
    columns = {
        line.index(published.files[0].name)
        for line in text.splitlines()
        for name, published in named.items()
        if published and published.files and line.split()[:1] == [name]
    }
    assert len(columns) == 1


def test_a_data_set_of_the_well_needs_no_card(tmp_path, capsys):
    for split, first in {"train": 0, "valid": 3, "test": 6}.items():
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        write_well(folder / "toy.hdf5", 3, first=first)
    order = ("convert", "stirred", "--format", "the_well", "--raw", tmp_path)
    console(*order, "--out", tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert {entry.split: entry.count for entry in manifest.entries} == {
        "train": 3,
        "validation": 3,
        "test": 3,
    }
    assert {entry.corpus for entry in manifest.entries} == {"stirred"}
    capsys.readouterr()
    console("verify", tmp_path / "out")
    assert "no faults" in capsys.readouterr().out
    console(*order, "--out", tmp_path / "out")
    assert capsys.readouterr().err.count("skipped") == 3


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "a\n", "-x", "\u00e9"])
def test_a_name_that_could_not_be_a_file_name_is_refused(tmp_path, name):
    (tmp_path / "raw" / "data" / "test").mkdir(parents=True)
    write_well(tmp_path / "raw" / "data" / "test" / "toy.hdf5", 1)
    order = ("--format", "the_well", "--raw", tmp_path / "raw", "--out", tmp_path / "out")
    with pytest.raises((UserError, SystemExit)):  # the parser takes "-x" for an option
        console("convert", name, *order)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


@pytest.fixture
def unnamed(tmp_path):
    """A steady corpus whose one file says nothing of its split; with it the order to convert it."""
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["fields"] = numbered("ncyx", n=3, c=2)
        file["tensor"] = np.zeros((3, 3), "f4")
    card = bare_card("steady", "elliptic", ("source", "u"), 1, (ROWS, COLUMNS))
    write_card(
        tmp_path / "steady.yaml", card.model_copy(update={"splits": {"train": 3, "test": 3}})
    )
    out = ("--raw", tmp_path / "mine.h5", "--out", tmp_path / "out")
    return "convert", "steady", "--card", tmp_path / "steady.yaml", *out


@pytest.mark.parametrize("asked", [(), ("--split", "train", "test")])
def test_a_file_of_no_known_split_does_not_become_several(unnamed, tmp_path, asked):
    with pytest.raises(UserError, match=r"does not say which split it is.*--split train"):
        console(*unnamed, *asked)
    assert not (tmp_path / "out").exists()
    console(*unnamed, "--split", "test")
    (entry,) = read_manifest(tmp_path / "out").entries
    assert (entry.split, entry.count) == ("test", 3)


def test_a_second_split_from_the_same_unnamed_file_is_warned_of(unnamed, capsys):
    console(*unnamed, "--split", "test")
    assert "same trajectories" not in capsys.readouterr().err
    console(*unnamed, "--split", "train")
    assert "both splits hold the same trajectories" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "write", "count"),
    [("pdebench_cns_m0.1", write_cns, 4), ("fno_ns_1e-3", write_mat73, 6)],
)
def test_a_message_about_a_smaller_file_leads_to_shards(tmp_path, capsys, name, write, count):
    """Followed word by word, but for the grid, which tests keep small."""
    raw = tmp_path / "small.h5"
    write(raw, count)
    console("info", name, "--yaml")
    whole = yaml.safe_load(capsys.readouterr().out)
    assert CorpusCard.read(whole, name) == load_card(name)
    whole |= {"frames": 12, "rollout_frames": 2, "native_grid": [ROWS, COLUMNS]}
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(whole))
    order = ("convert", name, "--card", own, "--raw", raw, "--out", tmp_path / "out")
    with pytest.raises(UserError) as refused:
        console(*order, "--no-checksums")
    assert f"foundation shards info {name} --yaml > own.yaml" in str(refused.value)
    words = shlex.split(str(refused.value).split("take what is there with ")[1].split(";")[0])
    console(*order, *words)
    (entry,) = read_manifest(tmp_path / "out").entries
    assert (entry.split, entry.count) == ("train", count)
    whole["published"]["splits"] = {"train": [0, count - 1], "test": [-1, None]}
    own.write_text(yaml.safe_dump(whole))
    console(*order, "--no-checksums", "--overwrite")
    counts = {entry.split: entry.count for entry in read_manifest(tmp_path / "out").entries}
    assert counts == {"train": count - 1, "test": 1}
