"""Shards from a web server on this machine: what is wanted comes, once, whole, or not at all."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import SIGNATURE, FileServer, serving
from huggingface_hub import constants
from travelling_waves import CORPORA

from data_shards.errors import UserError
from data_shards.remote import web
from data_shards.remote.find import find_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from data_shards.shards.verify import check_checksums

FIRST = CORPORA[0]
TRAIN = [(FIRST, "train")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, waves: Path) -> Iterator[FileServer]:
    """It serves a copy of the waves; the cache is empty, and nobody waits between two tries."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(web, "_PAUSE_S", 0.0)
    served = tmp_path / "served"
    shutil.copytree(waves, served)
    with serving(served) as files:
        yield files


def whole(folder: Path) -> ShardedCorpus:
    """The wanted split, opened and compared with the manifest's checksums."""
    corpus = ShardedCorpus.open(folder, FIRST, "train")
    check_checksums([corpus])
    return corpus


def listed(server: FileServer, path: Path, ending: str = "") -> str:
    """A list of everything that is served."""
    urls = [f"{server.url}{file.name}{ending}" for file in sorted(server.folder.iterdir())]
    path.write_text("\n".join(["# all of it", "", *urls]))
    return str(path)


@pytest.fixture(params=["folder", "list"])
def name(request: pytest.FixtureRequest, server: FileServer, tmp_path: Path) -> str:
    return server.url if request.param == "folder" else listed(server, tmp_path / "urls.txt")


def test_only_the_splits_asked_for_come_and_are_what_is_served(name, server, waves):
    corpus = whole(find_shards(name, TRAIN))
    theirs = ShardedCorpus.open(waves, FIRST, "train")
    assert (corpus.fingerprint, corpus.keys) == (theirs.fingerprint, theirs.keys)
    assert set(server.fetched()) == {record.name for record in theirs.entry.shards}
    with pytest.raises(UserError, match="missing"):
        ShardedCorpus.open(corpus.folder, FIRST, "test")


def test_the_manifest_alone_needs_no_shard(name, server, waves):
    assert read_manifest(find_shards(name)) == read_manifest(waves)
    assert server.fetched() == []


def test_nothing_is_fetched_twice_and_the_cache_serves_when_nobody_answers(name, server):
    first = find_shards(name, TRAIN)
    count = len(server.fetched())
    assert find_shards(name, TRAIN) == first
    for fault in ("fail", "down"):
        server.faults = {fault}
        with pytest.warns(UserWarning, match="shards as of last time are used"):
            assert find_shards(name, TRAIN) == first
    server.requests.clear()
    assert find_shards(name, TRAIN, local_files_only=True) == first
    assert server.requests == []
    with pytest.raises(UserError, match=r"not in the cache .* and offline"):
        find_shards(name, [(FIRST, "test")], local_files_only=True)
    assert count == 1


def test_offline_without_a_cache_is_said(name):
    with pytest.raises(UserError, match=r"not in the cache .* and offline"):
        find_shards(name, local_files_only=True)


def test_a_new_manifest_brings_only_tars_that_are_new(server, waves):
    old = find_shards(server.url, TRAIN)
    manifest = json.loads((server.folder / "manifest.json").read_text())
    manifest["entries"].reverse()
    (server.folder / "manifest.json").write_text(json.dumps(manifest))
    server.requests.clear()
    new = find_shards(server.url, TRAIN)
    assert new != old
    assert server.fetched() == []
    whole(old)
    whole(new)


def test_a_transfer_that_broke_once_goes_on_where_it_was(server):
    server.faults.add("drop_once")
    corpus = whole(find_shards(server.url, TRAIN))
    (record,) = corpus.entry.shards
    assert server.fetched() == [record.name, f"{record.name} from {record.bytes // 2}"]


def test_a_later_call_goes_on_where_an_earlier_one_was_stopped(server, monkeypatch):
    server.faults = {"drop_once"}
    monkeypatch.setattr(web, "_read", stopped_after(3))
    with pytest.raises(KeyboardInterrupt):
        find_shards(server.url, TRAIN)
    monkeypatch.undo()
    monkeypatch.setattr(constants, "HF_HOME", str(server.folder.parent / "home"))
    whole(find_shards(server.url, TRAIN))
    assert "from" in server.fetched()[-1]


def stopped_after(pieces: int):
    """Reading that a user stops after some pieces, of 1000 bytes each after the manifest."""
    real, count = web._read, iter(range(pieces))

    def read(answer, most, url):
        if url.endswith(".json"):
            return real(answer, most, url)
        if next(count, None) is None:
            raise KeyboardInterrupt
        return real(answer, min(most, 1000), url)

    return read


def test_a_server_that_cannot_go_on_sends_all_anew(server):
    server.faults |= {"drop_once", "no_range"}
    assert whole(find_shards(server.url, TRAIN)).keys == whole(server.folder).keys


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("corrupt", "came with checksum .*, the manifest says .* thrown away"),
        ("shorten", "ended early; try again"),
        ("drop", "ended early; try again|no connection, or one that broke"),
        ("forbid", r"no permission \(status 403\)"),
        ("fail", "status 503; try again"),
        ("down", "no connection, or one that broke"),
    ],
)
def test_damage_on_the_way_is_one_line_and_stays_out_of_the_cache(name, server, fault, message):
    server.faults.add(fault)
    with pytest.raises(UserError, match=message) as raised:
        find_shards(name, TRAIN)
    assert "\n" not in str(raised.value)
    server.faults.clear()
    whole(find_shards(name, TRAIN))


def test_signed_urls_open_what_is_closed_and_their_signature_is_told_to_nobody(server, tmp_path):
    server.faults.add("forbid")
    name = listed(server, tmp_path / "urls.txt", f"?{SIGNATURE}")
    first = find_shards(name, TRAIN)
    whole(first)
    name = listed(server, tmp_path / "urls.txt", "?signature=expired")
    with pytest.raises(UserError, match="no permission") as raised:
        find_shards(name, TRAIN)
    assert "expired" not in str(raised.value)
    assert find_shards(name, TRAIN, local_files_only=True) == first


def test_files_of_a_list_may_lie_on_several_servers(server, waves, tmp_path):
    with serving(waves) as other:
        tars = [f"{other.url}{file.name}" for file in waves.glob("*.tar")]
        (tmp_path / "urls").write_text("\n".join([*tars, f"{server.url}manifest.json"]))
        whole(find_shards(str(tmp_path / "urls"), TRAIN))
        assert server.fetched() == []
        assert len(other.fetched()) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "names no manifest.json"),
        ("https://here.org/a.tar", "names no manifest.json"),
        ("a.tar", "line 1 is 'a.tar'; wanted the https URL of a file"),
        ("file:///etc/passwd", "wanted the https URL of a file"),
        ("https://me:secret@here.org/a.tar", "wanted the https URL of a file"),
        ("https://here.org/a/", "wanted the https URL of a file"),
        ("https://[here/manifest.json", "no URL"),
        ("https://a.org/a.tar\nhttps://b.org/a.tar?x=1", "line 2 names a.tar again"),
        (b"\xff\xfe\x00", "no list of URLs"),
    ],
)
def test_what_is_no_list_is_refused_before_anybody_is_asked(lines, message, tmp_path):
    path = tmp_path / "urls.txt"
    path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    with pytest.raises(UserError, match=message):
        find_shards(path, TRAIN)


def test_a_tar_that_a_list_leaves_out_is_named(server, tmp_path):
    path = tmp_path / "urls.txt"
    path.write_text(f"{server.url}manifest.json")
    with pytest.raises(UserError, match=rf"names no {FIRST}-train-000000.tar.*add its URL"):
        find_shards(path, TRAIN)


@pytest.mark.parametrize(
    "url", ["https://", "https://me:secret@here.org/a/", "https://here.org/a?signature=secret"]
)
def test_a_url_with_more_than_a_folder_is_refused_and_its_secret_kept(url):
    with pytest.raises(UserError, match="wanted https://HOST/FOLDER/ alone") as raised:
        find_shards(url, TRAIN)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<html>", "not readable as JSON"), (b'{"format": 99}', "manifest.json: .*format")],
)
def test_what_is_no_manifest_is_refused_and_not_kept(server, content, message):
    good = (server.folder / "manifest.json").read_bytes()
    (server.folder / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=message):
        find_shards(server.url)
    (server.folder / "manifest.json").write_bytes(good)
    find_shards(server.url)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "../../secret.tar", "wanted a plain file name"),
        ("name", "..", "wanted a plain file name"),
        ("name", "manifest.json", "wanted a plain file name"),
        ("sha256", "../../../../etc/passwd", "wanted 64 hexadecimal digits"),
    ],
)
def test_a_manifest_that_points_elsewhere_is_refused(server, key, value, message):
    manifest = json.loads((server.folder / "manifest.json").read_text())
    (train,) = (e for e in manifest["entries"] if (e["corpus"], e["split"]) == (FIRST, "train"))
    train["shards"][0][key] = value
    (server.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=message):
        find_shards(server.url, TRAIN)
