"""Published raw files from servers on this machine: as their authors say, or not at all."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from file_server import FileServer, serving
from local_hub import Repository, only_hub

from data_shards.card import CorpusCard
from data_shards.catalogue import card_names, load_card
from data_shards.errors import UserError
from data_shards.remote import web
from data_shards.remote.published import fetch_published
from launchers.cli import main

CONTENT = np.random.default_rng(0).bytes(3 << 20)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    monkeypatch.setattr(web, "_PAUSE_S", 0.0)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "raw.h5").write_bytes(CONTENT)
    with serving(tmp_path / "served") as files:
        yield files


def card_at(server: FileServer, md5: str | None = None) -> CorpusCard:
    """The shallow water's card with an address on this machine."""
    file = {"name": "raw.h5", "url": f"{server.url}raw.h5"}
    file["md5"] = md5 or hashlib.md5(CONTENT).hexdigest()
    values = load_card("pdebench_swe").model_dump(mode="json")
    values["published"]["files"] = [file]
    return CorpusCard.read(values, "a card")


def test_a_file_comes_once_and_whole(server, tmp_path):
    said: list[str] = []
    for _ in range(2):
        (path,) = fetch_published(card_at(server), tmp_path / "out", tell=said.append)
        assert path.read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["raw.h5"]
    assert said == [f"there already: {path}"]
    assert server.requests == ["raw.h5"] * 2  # its size, then itself


@pytest.mark.parametrize("fault", ["drop_once", "no_range"])
def test_what_broke_off_goes_on(server, tmp_path, fault):
    server.faults |= {fault, "drop_once"}
    (path,) = fetch_published(card_at(server), tmp_path)
    assert path.read_bytes() == CONTENT


def test_the_next_command_goes_on_where_the_last_one_died(server, tmp_path):
    (tmp_path / ".raw.h5.partial").write_bytes(CONTENT[: 1 << 20])
    (path,) = fetch_published(card_at(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == f"raw.h5 from {1 << 20}"


def test_another_checksum_is_thrown_away(server, tmp_path):
    server.faults.add("corrupt")
    with pytest.raises(UserError, match="its authors say"):
        fetch_published(card_at(server), tmp_path)
    assert not list(tmp_path.glob("*raw*"))
    (tmp_path / "raw.h5").write_bytes(b"mine")
    with pytest.raises(UserError, match="is there with another checksum"):
        fetch_published(card_at(server), tmp_path)
    assert (tmp_path / "raw.h5").read_bytes() == b"mine"


def test_a_full_disk_is_told_before(server, tmp_path, monkeypatch):
    usage = web.shutil.disk_usage(tmp_path)._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(web.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match="GB are free"):
        fetch_published(card_at(server), tmp_path)


def test_the_verb_takes_a_card_and_tells_faults_in_a_line(server, tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(card_at(server).model_dump(mode="json")))
    words = ["shards", "download", "pdebench_swe", "--card", str(own)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'raw.h5'}\n"
    for more, message in (
        (["--only", "*.zip"], "no file is called *.zip, only raw.h5"),
        (["--out", str(own)], "files cannot be written there"),
    ):
        assert main([*words, "--out", str(tmp_path / "out"), *more]) == 2
        assert message in capsys.readouterr().err
    assert main(["shards", "download", "fno_ns_1e-5", "--out", str(tmp_path)]) == 2
    assert "by hand from https://drive.google.com" in capsys.readouterr().err
    assert main(["shards", "download", "burgers", "--out", str(tmp_path)]) == 2
    assert "foundation shards generate burgers" in capsys.readouterr().err


@pytest.mark.parametrize(
    "file",
    [
        {"name": "../raw.h5", "url": "https://example.org/raw.h5"},
        {"name": "/tmp/raw.h5", "url": "https://example.org/raw.h5"},
        {"name": "raw.h5", "url": "file:///etc/passwd"},
    ],
)
def test_a_strangers_card_names_no_file_outside_and_no_address_but_of_the_web(file):
    values = load_card("pdebench_swe").model_dump(mode="json")
    values["published"]["files"] = [file]
    with pytest.raises(UserError, match=r"published\.files"):
        CorpusCard.read(values, "a card")


def test_files_of_a_data_set_on_the_hub_come_by_its_checksums(tmp_path, monkeypatch):
    files = {"data/test/a.h5": b"test", "data/train/b.h5": b"train", "README.md": b"all of it"}
    card = load_card("pdearena_ns_cond")
    with only_hub(monkeypatch, tmp_path) as hub:
        hub.repositories["pdearena/NavierStokes-2D-conditoned"] = Repository(
            "dataset", False, [files]
        )
        found = fetch_published(card, tmp_path / "out", ["*test*"])
        assert [path.read_bytes() for path in found] == [b"test"]
        every = fetch_published(card, tmp_path / "out")
        assert {path.relative_to(tmp_path / "out").as_posix() for path in every} == {
            "data/test/a.h5",
            "data/train/b.h5",
        }


def test_all_of_pdebench_has_an_address_and_a_checksum():
    cards = [load_card(name) for name in card_names() if name.startswith("pdebench")]
    assert len(cards) > 5
    for card in cards:
        assert card.published.can_be_fetched
        for file in card.published.files:
            assert file.url.startswith("https://darus.uni-stuttgart.de/api/access/datafile/")
            assert len(file.md5) == 32
    addresses = [file.url for card in cards for file in card.published.files]
    assert len(set(addresses)) == len(addresses)
