"""Laws of `foundation shards convert`: the files' values, once, and every refusal in one line."""

import hashlib

import h5py
import numpy as np
import pytest
import yaml
from published_files import (
    COLUMNS,
    expected,
    numbered,
    small_card,
    write_mat73,
    write_swe,
)
from shards_console import console, write_card

from data_shards.card import CorpusCard
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest

SPLITS = {"train": (0, 3), "validation": (3, 4), "test": (-2, None)}
NAME = "small_swe"
FILE = "2D_rdb_NA_NA.h5"


def card_of(**changes) -> CorpusCard:
    return small_card("pdebench_swe", SPLITS, **changes).model_copy(update={"name": NAME})


@pytest.fixture
def raw(tmp_path):
    """Six trajectories in a small file of the published layout; with it a card for its size."""
    folder = tmp_path / "raw"
    folder.mkdir()
    write_swe(folder / FILE, 6)
    write_card(tmp_path / f"{NAME}.yaml", card_of())
    return folder


@pytest.fixture
def convert(tmp_path, raw):
    """Convert these files with this card, unless told otherwise."""

    def run(*extra, name=NAME, source=raw):
        card = ("--card", tmp_path / f"{NAME}.yaml")
        console("convert", name, *card, "--raw", source, "--out", tmp_path / "out", *extra)
        return read_manifest(tmp_path / "out")

    return run


def test_all_splits_of_the_card_by_default_and_their_values(convert, tmp_path):
    manifest = convert()
    assert {entry.split: entry.count for entry in manifest.entries} == {
        "train": 3,
        "validation": 1,
        "test": 2,
    }
    for split, first in {"train": 0, "validation": 3, "test": 4}.items():
        corpus = ShardedCorpus.open(tmp_path / "out", NAME, split)
        np.testing.assert_array_equal(corpus.trajectory(0).fields, expected(first))


def test_the_file_itself_may_be_given_under_another_name(convert, raw):
    other = raw / "renamed.hdf5"
    (raw / FILE).rename(other)
    entry = convert("--split", "test", source=other).entries[0]
    assert entry.provenance.sources[0].name == "renamed.hdf5"


def test_what_is_there_as_asked_is_skipped(convert, tmp_path, capsys):
    before = convert("--split", "train")
    stamp = (tmp_path / "out" / f"{NAME}-train-000000.tar").stat().st_mtime_ns
    capsys.readouterr()
    assert convert("--split", "train") == before
    assert "already in" in capsys.readouterr().err
    assert (tmp_path / "out" / f"{NAME}-train-000000.tar").stat().st_mtime_ns == stamp
    convert()
    assert (tmp_path / "out" / f"{NAME}-train-000000.tar").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("change", [("--limit", 2), ("--storage", "float16"), ("--resolution", 4)])
def test_other_settings_need_overwrite(convert, change):
    before = convert("--split", "train")
    if "float16" in change:
        change = (*change, "--limit", 1)  # the first trajectory's values fit
    with pytest.raises(UserError, match=f"holds another {NAME} train.*add --overwrite"):
        convert("--split", "train", *change)
    after = convert("--split", "train", *change, "--overwrite")
    assert after != before


def test_a_resized_split_does_not_pass_for_the_grid_of_the_files(convert):
    convert("--split", "train", "--resolution", 4)
    with pytest.raises(UserError, match="add --overwrite"):
        convert("--split", "train")


def test_another_reader_does_not_get_the_options_of_the_cards_own(convert, raw, tmp_path):
    card = card_of()
    options = {"axes": "no option of the other reader"}
    files = card.published.model_copy(update={"options": options})
    write_card(tmp_path / f"{NAME}.yaml", card.model_copy(update={"published": files}))
    with pytest.raises(UserError) as refused:
        convert("--format", "processed", source=raw / FILE)
    assert "axes" not in str(refused.value)


def test_other_raw_files_need_overwrite(convert, raw):
    convert("--split", "train")
    write_swe(raw / FILE, 7)
    with pytest.raises(UserError, match="add --overwrite"):
        convert("--split", "train")
    convert("--split", "train", "--overwrite")


def test_a_limit_takes_the_first_trajectories_of_every_split(convert):
    manifest = convert("--limit", 2)
    assert {entry.split: entry.count for entry in manifest.entries} == {
        "train": 2,
        "validation": 1,
        "test": 2,
    }


def test_a_resolution_is_stored_and_the_grid_of_the_files_is_the_default(convert, tmp_path):
    assert convert("--split", "train").entries[0].grid == card_of().native_grid
    entry = convert("--split", "train", "--resolution", 4, "--overwrite").entries[0]
    assert entry.grid == card_of().grid(4)


@pytest.mark.parametrize("given", ["right", "wrong"])
def test_checksums_are_compared_unless_switched_off(convert, raw, tmp_path, given):
    md5 = hashlib.md5((raw / FILE).read_bytes()).hexdigest() if given == "right" else "0" * 32
    card = card_of()
    files = (card.published.files[0].model_copy(update={"md5": md5}),)
    published = card.published.model_copy(update={"files": files})
    write_card(tmp_path / f"{NAME}.yaml", card.model_copy(update={"published": published}))
    if given == "right":
        assert convert("--split", "test").entries[0].provenance.sources[0].md5 == md5
        return
    with pytest.raises(UserError, match="md5"):
        convert("--split", "test")
    assert not list((tmp_path / "out").glob("*.tar"))
    assert convert("--split", "test", "--no-checksums").entries[0].provenance.sources[0].md5 is None


def test_a_reader_and_its_options_may_be_given(convert, raw, tmp_path):
    options = card_of().published.options
    bare = card_of().model_copy(update={"published": None, "splits": {"train": 3}})
    write_card(tmp_path / f"{NAME}.yaml", bare)
    with pytest.raises(UserError, match=f"{NAME}: its card names no published files"):
        convert()
    with pytest.raises(UserError, match="names no reader; say which with --format"):
        convert("--option", "a=1")
    given = [("--option", f"{key}={yaml.safe_dump(value, default_flow_style=True).strip()}")
             for key, value in options.items()]  # fmt: skip
    with pytest.raises(UserError, match="train split"):  # found in the files, but of what length?
        convert("--format", "pdebench_groups", *sum(given, ()), source=raw / FILE)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--format", "pdebench_group"), "did you mean 'pdebench_groups'"),
        (("--format", "os"), "unknown reader"),
        (("--format", ""), "unknown reader|names no reader"),
        (("--option", "nonsense=1"), "nonsense"),
    ],
)
def test_a_reader_or_option_that_there_is_not_is_refused(convert, tmp_path, extra, message):
    with pytest.raises(UserError, match=message):
        convert(*extra)
    assert not list(tmp_path.glob("out/*.tar"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "holds no 2D_rdb_NA_NA.h5"),
        (lambda path: path.write_bytes(b""), FILE),
        (lambda path: path.write_bytes(b"no HDF5 at all" * 99), FILE),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), FILE),
        (lambda path: (path.unlink(), path.mkdir()), FILE),
        (lambda path: write_mat73(path, 3), FILE),
    ],
)
def test_raw_files_that_are_no_such_files_are_refused_by_name(
    convert, raw, tmp_path, damage, message
):
    damage(raw / FILE)
    with pytest.raises(UserError, match=message):
        convert()
    assert not list(tmp_path.glob("out/*.tar"))


def test_a_path_that_is_not_there_is_refused(convert, tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        convert(source=tmp_path / "nowhere")


def test_the_card_and_the_name_must_agree(convert, tmp_path):
    with pytest.raises(UserError, match=f"is the card of '{NAME}', not of 'other'"):
        convert(name="other")


@pytest.mark.parametrize("text", ["", "[]", "{", "name: x", "\x00"])
def test_a_damaged_card_is_refused_by_name(convert, tmp_path, text):
    (tmp_path / f"{NAME}.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"{NAME}\.yaml"):
        convert()


def test_an_unknown_corpus_is_refused_with_the_nearest_name(raw, tmp_path):
    order = ("--raw", raw, "--out", tmp_path / "out")
    with pytest.raises(UserError, match="did you mean 'pdebench_swe'"):
        console("convert", "pdebench_sew", *order)
    with pytest.raises(UserError, match="unknown corpus 'mine'"):
        console("convert", "mine", "--format", "pdebench_groups", *order)  # it drafts no cards


def test_a_card_of_such_a_name_is_refused(tmp_path, raw):
    values = card_of().model_dump(mode="json") | {"name": "../up"}
    (tmp_path / "up.yaml").write_text(yaml.safe_dump(values))
    order = ("--card", tmp_path / "up.yaml", "--raw", raw, "--out", tmp_path / "out")
    with pytest.raises(UserError, match=r"up\.yaml: name"):
        console("convert", "../up", *order)


CHANGES = {
    "channels": [{"name": "h", "unit": "furlong"}],
    "dt_s": 0.25,
    "boundary": dict.fromkeys(("left", "right", "bottom", "top"), "wall"),
    "mask_as_channel": True,
    "parameters": {},
    "rollout_frames": 1,
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_changed_card_needs_overwrite_and_the_line_names_the_change(convert, tmp_path, key):
    before = convert("--split", "train")
    values = card_of().model_dump(mode="json") | {key: CHANGES[key]}
    (tmp_path / f"{NAME}.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=rf"\({key}\); add --overwrite"):
        convert("--split", "train")
    assert read_manifest(tmp_path / "out") == before


def test_words_of_a_card_may_change_without_work(convert, tmp_path, capsys):
    before = convert("--split", "train")
    write_card(tmp_path / f"{NAME}.yaml", card_of(title="Other words", citation="other"))
    assert convert("--split", "train") == before
    assert "skipped" in capsys.readouterr().err


def test_another_file_of_this_name_and_size_is_named_when_skipped_and_read_when_told(
    convert, raw, tmp_path, capsys
):
    convert("--split", "train")
    with h5py.File(raw / FILE, "r+") as file:
        file["0000/data"][...] += 1
    capsys.readouterr()
    convert("--split", "train")
    assert f"made from {FILE}" in capsys.readouterr().err
    convert("--split", "train", "--overwrite")
    corpus = ShardedCorpus.open(tmp_path / "out", NAME, "train")
    np.testing.assert_array_equal(corpus.trajectory(0).fields, expected(0) + 1)


def test_another_reader_is_not_held_to_the_checksums_of_the_cards_own(tmp_path):
    folder = tmp_path / "raw" / "train"
    folder.mkdir(parents=True)
    values = numbered("xyt", x=COLUMNS)[..., None]
    with h5py.File(folder / "data_0.hdf5", "w") as file:
        file["data"] = values
    with h5py.File(tmp_path / "swe_train.hdf5", "w") as file:
        file["data"] = values[None]
    card = card_of()
    files = (card.published.files[0].model_copy(update={"md5": "0" * 32}),)
    published = card.published.model_copy(update={"files": files})
    write_card(tmp_path / "own.yaml", card.model_copy(update={"published": published}))
    order = ("convert", NAME, "--card", tmp_path / "own.yaml", "--format", "processed")
    out = ("--out", tmp_path / "out", "--split", "train")
    console(*order, "--raw", tmp_path / "swe_train.hdf5", *out)
    assert read_manifest(tmp_path / "out").entries[0].count == 1


def test_a_split_that_another_process_made_meanwhile_is_not_made_again(
    convert, tmp_path, monkeypatch, capsys
):
    from launchers.verbs.shards import convert as verb

    def late(orders, out, overwrite):
        missing = pending(orders, out, overwrite)
        if len(orders) > 1:  # the first look; now the other one finishes
            monkeypatch.setattr(verb, "pending", pending)
            convert("--split", "train")
        return missing

    pending = verb.pending
    monkeypatch.setattr(verb, "pending", late)
    capsys.readouterr()
    convert("--split", "train", "validation")
    assert capsys.readouterr().err.count("small_swe train: already in") == 1


def test_whoever_stops_it_is_told_that_the_same_command_goes_on(convert, monkeypatch, capsys):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("data_shards.read.convert.write_corpus", stop)
    with pytest.raises(KeyboardInterrupt):
        convert("--split", "train")
    assert "the same command goes on where it was" in capsys.readouterr().err
