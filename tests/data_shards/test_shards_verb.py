"""Laws of `foundation shards` verify, info, list and their help: every fault and fact named."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from shards_console import console, refused_by_parser
from written import write_closed_forms

from data_shards.card import ChannelStatistics, CorpusCard
from data_shards.catalogue import card_names, ladder_names, load_card, read_card
from data_shards.errors import UserError
from data_shards.shards.manifest import Provenance, SourceFile, read_manifest
from data_shards.trajectory import Trajectory
from launchers.cli import main
from launchers.console import progress as progress_module
from launchers.console.progress import Overall, progress

VERBS = ("list", "generate", "convert", "verify", "info", "show", "accuracy")


def test_verify_prints_a_summary_or_every_fault(own_folder, capsys):
    console("verify", own_folder)
    assert re.search("7 trajectories.*all bytes read: no faults", capsys.readouterr().out)
    console("verify", own_folder, "--quick")
    assert "sizes only: no faults" in capsys.readouterr().out
    next(own_folder.glob("*.tar")).unlink()
    with pytest.raises(UserError, match="1 faults"):
        console("verify", own_folder)
    assert "tar: missing" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["verify", "info", "show"])
def test_a_url_in_place_of_a_folder_is_said_without_its_secrets(verb, capsys):
    for url in ("https://me:SECRET@here.org/shards", "https://here.org/shards?token=SECRET"):
        words = ["shards", verb, url, *(["--output", "pictures"] if verb == "show" else [])]
        assert main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "here.org/shards: a URL; wanted a folder of this machine" in line
        assert "SECRET" not in line
        with pytest.raises(SystemExit):
            main([*words, "--no-such-option", url])
        assert "SECRET" not in capsys.readouterr().err


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


def test_info_and_verify_point_at_channels_that_never_change(tmp_path, toy_card, capsys):
    card = toy_card("toy_gas")
    write_closed_forms(tmp_path, card, {"train": 2}, _still)
    first, second, *_ = card.channel_names
    for verb in ("info", "verify"):
        console(verb, tmp_path)
        said = capsys.readouterr().out
        assert f"toy_gas train: channel {first} is 0 throughout and has no norm" in said
        assert f"channel {second} is 2.5 throughout and has no spread: VRMSE leaves it" in said
        assert said.count("throughout") == 2


def _still(card: CorpusCard, index: int, seed: int) -> Trajectory:
    """The first channel is zero, the second one constant, the others vary."""
    shape = (card.frames, len(card.channels), *card.native_grid)
    fields = np.random.default_rng(index).normal(size=shape).astype(np.float32)
    fields[:, 0], fields[:, 1] = 0.0, 2.5
    sides = dict.fromkeys(("left", "right", "bottom", "top"), "periodic")
    parameters = {name: limits.low for name, limits in card.parameters.items()}
    return Trajectory(fields, card.name, index, seed, 0.1, (0, 1, 0, 1), sides, parameters)


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in VERBS)])
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


def test_progress_goes_on_from_what_was_done_before(capsys, monkeypatch):
    clock = iter([0.0, 60.0, 120.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    list(progress(range(2), total=10, label="work", done=8))
    # One item takes a minute; what was done before took no time of this run.
    assert capsys.readouterr().err.splitlines() == [
        "work: 9/10 it in 1 min 00 s, about 1 min 00 s left",
        "work: 10/10 it in 2 min 00 s",
    ]


def test_the_whole_counts_the_items_of_all_pieces(monkeypatch):
    clock = iter([0.0, 30.0, 90.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    with Overall("all", total=12, unit="steps") as overall:
        assert list(overall.watch("abc", done=3)) == list("abc")
        assert overall.line() == "all: 6/12 steps in 30.0 s, about 1 min 00 s left"
        list(overall.watch("abcdef"))
        assert overall.line() == "all: 12/12 steps in 1 min 30 s"


def test_info_of_a_name_is_its_card(capsys):
    console("info", "pdebench_swe")
    text = capsys.readouterr().out
    card = load_card("pdebench_swe")
    for fact in (card.title, card.equation, card.license, card.citation, "dam_radius", "900"):
        assert fact in text
    console("info", "pdebench_swe", "--json")
    assert json.loads(capsys.readouterr().out) == [card.model_dump(mode="json")]


def test_info_of_a_group_or_ladder_is_the_cards_of_its_members(capsys):
    for name in ("mixture_6", *ladder_names()[:1]):
        console("info", name)
        headings = re.findall(r"^## (\S+)$", capsys.readouterr().out, re.M)
        assert len(headings) > 1
        assert len(set(headings)) == len(headings)


def test_a_folder_comes_before_a_corpus_of_the_same_name(own_folder, monkeypatch, capsys):
    monkeypatch.chdir(own_folder.parent)
    own_folder.rename(own_folder.parent / "cfdbench")
    console("info", "cfdbench")
    assert "toy_flow train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("pdebench_sew", "no such folder, and unknown corpus .* did you mean 'pdebench_swe'"),
        ("no/such/folder", "no such folder; build one"),
        ("..", r"no manifest\.json"),
        ("", r"no manifest\.json"),
    ],
)
def test_info_of_nothing_says_what_is_missing(target, message, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match=message):
        console("info", target)


def test_a_file_for_the_folder_is_told_as_one(own_folder):
    with pytest.raises(UserError, match=r"manifest\.json: a file; wanted the folder"):
        console("verify", own_folder / "manifest.json")


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', "\x00", '{"entries": [{}]}'])
@pytest.mark.parametrize("verb", ["info", "verify", "show"])
def test_a_damaged_manifest_is_one_line_for_every_verb(own_folder, verb, damage):
    (own_folder / "manifest.json").write_text(damage)
    extra = ("--output", own_folder / "out") if verb == "show" else ()
    with pytest.raises(UserError, match=r"manifest\.json"):
        console(verb, own_folder, *extra)


def test_info_names_the_raw_files_of_what_was_read(tmp_path, write_toy, capsys):
    sources = (SourceFile(name="a.h5", bytes=1 << 20, md5="ab12"), SourceFile(name="b.h5", bytes=0))
    provenance = Provenance(producer="reader", version=3, seed=-1, sources=sources)
    write_toy(tmp_path, "toy_flow", provenance=provenance)
    console("info", tmp_path)
    text = capsys.readouterr().out
    assert "by reader version 3 from a.h5, b.h5" in text
    assert "raw file a.h5, 1.0 MiB, md5 ab12" in text
    assert "raw file b.h5, 0.0 MiB, checksum not taken" in text


def test_the_yaml_of_info_is_what_cards_want(toy_folder, capsys):
    console("info", toy_folder, "--yaml")
    blocks = re.split(r"^# (\S+)$", capsys.readouterr().out, flags=re.M)[1:]
    found = dict(zip(blocks[::2], map(yaml.safe_load, blocks[1::2]), strict=True))
    for entry in read_manifest(toy_folder).entries:
        came = [ChannelStatistics(**line) for line in found[entry.corpus]["statistics"]]
        for ours, theirs in zip(came, entry.statistics, strict=True):
            assert ours.name == theirs.name
            for key in ("mean", "std", "min", "max"):  # five digits are written
                assert getattr(ours, key) == pytest.approx(getattr(theirs, key), rel=1e-4)


def test_list_names_every_corpus_group_and_ladder(capsys):
    console("list")
    text = capsys.readouterr().out
    for name in (*card_names(), *ladder_names(), "mixture_6", "mixture_12"):
        assert re.search(rf"^ *{re.escape(name)} ", text, re.M)


def test_list_as_json_holds_the_cards_and_the_members_of_groups(capsys):
    console("list", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [card["name"] for card in found["corpora"]] == list(card_names())
    assert [ladder["name"] for ladder in found["ladders"]] == list(ladder_names())
    assert len(found["groups"]["mixture_6"]) == 6
    assert all(rung["shift"]["ladder"] in ladder_names() for rung in found["rungs"])


def test_two_forms_at_once_are_refused(capsys, toy_folder):
    assert "not allowed with" in refused_by_parser(capsys, "list", "--json", "--markdown")
    assert "not allowed with" in refused_by_parser(capsys, "info", toy_folder, "--json", "--yaml")


@pytest.mark.parametrize("verb", ["forge", "Generate", "", "--all"])
def test_an_unknown_verb_is_refused(verb, capsys):
    refused_by_parser(capsys, verb)


def test_help_imports_no_solver_reader_or_plotting_library():
    program = (
        "import sys; from launchers.cli import main\n"
        "try: main(['shards', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numba', 'scipy', 'h5py', 'matplotlib', 'datasets', 'deepspeed'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_accuracy_refuses_before_any_solver_is_imported(tmp_path):
    with pytest.raises(UserError, match="unknown corpus"):
        console("accuracy", "nothing", "--output", tmp_path / "a.json")
    with pytest.raises(UserError, match="no such folder"):
        console("accuracy", "cfdbench", "--output", tmp_path / "none" / "a.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UserError, match="exists; add --overwrite"):
        console("accuracy", "cfdbench", "--output", tmp_path / "a.json")


def test_a_missing_folder_is_answered_with_minutes_of_work_and_not_with_days(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError, match="generate all --profile small --out"):
            console("info", folder)


def test_a_corpus_as_yaml_is_a_card_to_edit(tmp_path, capsys):
    for name in ("pdebench_swe", "cfdbench"):
        console("info", name, "--yaml")
        (tmp_path / "own.yaml").write_text(capsys.readouterr().out)
        assert read_card(tmp_path / "own.yaml") == load_card(name)
