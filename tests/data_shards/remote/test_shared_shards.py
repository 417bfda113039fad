"""Shards from a hub on this machine: what is wanted comes, once, whole, or not at all."""

import json
from pathlib import Path

import pytest
from local_hub import TOKEN, only_hub
from travelling_waves import CORPORA

from data_shards.errors import UserError
from data_shards.remote.find import find_shards
from data_shards.remote.share import push_shards
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from data_shards.shards.verify import check_checksums

REPO = "somebody/waves"
NAME = f"hf://datasets/{REPO}"
FIRST = CORPORA[0]
TRAIN = [(corpus, "train") for corpus in CORPORA]

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch, tmp_path, waves):
    with only_hub(monkeypatch, tmp_path) as server:
        push_shards(waves, REPO, deep=False, token=TOKEN)
        server.requests.clear()
        yield server


def fetched(hub) -> list[str]:
    """Tars whose bytes were asked for."""
    asked = [r.rpartition("/")[2] for r in hub.requests if r.startswith("GET") and "resolve" in r]
    return [name for name in asked if name.endswith(".tar")]


def test_only_the_corpora_and_splits_asked_for_come_and_are_what_was_pushed(hub, waves):
    folder = find_shards(NAME, [(FIRST, "train")])
    ours, theirs = (ShardedCorpus.open(f, FIRST, "train") for f in (folder, waves))
    check_checksums([ours])
    assert ours.fingerprint == theirs.fingerprint
    assert ours.keys == theirs.keys
    assert set(fetched(hub)) == {record.name for record in theirs.entry.shards}
    with pytest.raises(UserError, match="missing"):
        ShardedCorpus.open(folder, FIRST, "test")


def test_the_manifest_alone_needs_no_shard(hub, waves):
    assert read_manifest(find_shards(NAME)) == read_manifest(waves)
    assert fetched(hub) == []


def test_nothing_is_fetched_twice_and_the_cache_serves_without_a_hub(hub):
    first = find_shards(NAME, TRAIN)
    count = len(fetched(hub))
    assert count == 2
    assert find_shards(NAME, TRAIN) == first
    assert len(fetched(hub)) == count
    hub.faults.add("down")
    assert find_shards(NAME, TRAIN, local_files_only=True) == first
    nobody = "http://127.0.0.1:1"
    assert find_shards(NAME, TRAIN, endpoint=nobody) == first
    with pytest.raises(UserError, match="no connection"):
        find_shards(NAME, [(FIRST, "test")], endpoint=nobody)


def test_a_transfer_that_broke_once_goes_on_where_it_was(hub, waves):
    hub.faults.add("drop_once")
    folder = find_shards(NAME, [(FIRST, "train")])
    check_checksums([ShardedCorpus.open(folder, FIRST, "train")])


def test_a_revision_stays_what_it_was(hub):
    repository = hub.repositories[REPO]
    old = repository.sha(len(repository.commits) - 1)
    repository.commits.append({})
    assert find_shards(f"{NAME}@{old}", [(FIRST, "test")]).name == old
    with pytest.raises(UserError, match="holds no manifest"):
        find_shards(NAME, [(FIRST, "test")])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("corrupt", "came with checksum .* thrown away"),
        ("shorten", "the hub did not give it|came with checksum"),
        ("drop", "no connection, or one that broke"),
        ("down", "no connection, or one that broke|the hub did not give it"),
    ],
)
def test_damage_on_the_way_is_one_line_and_stays_out_of_the_cache(hub, fault, message):
    hub.faults.add(fault)
    with pytest.raises(UserError, match=message) as raised:
        find_shards(NAME, [(FIRST, "train")])
    assert "\n" not in str(raised.value)
    hub.faults.clear()
    folder = find_shards(NAME, [(FIRST, "train")])
    check_checksums([ShardedCorpus.open(folder, FIRST, "train")])


def test_a_private_data_set_opens_to_its_token_only(hub):
    hub.repositories[REPO].private = True
    with pytest.raises(UserError, match="no such repository, or a private one"):
        find_shards(NAME, [(FIRST, "train")])
    find_shards(NAME, [(FIRST, "train")], token=TOKEN)


def test_a_manifest_that_points_elsewhere_is_refused(hub):
    files = hub.repositories[REPO].files
    values = json.loads(files["manifest.json"])
    values["entries"][0]["shards"][0]["name"] = "../../secret.tar"
    files["manifest.json"] = json.dumps(values).encode()
    with pytest.raises(UserError, match="wanted a plain file name"):
        find_shards(NAME, [(c, s) for c in CORPORA for s in ("train", "validation", "test")])


@pytest.mark.parametrize("name", ["hf://somebody/waves", "hf://datasets/waves", "hf://datasets/"])
def test_another_name_is_refused_before_anybody_is_asked(hub, name):
    with pytest.raises(UserError, match="wanted hf://datasets/OWNER/NAME"):
        find_shards(name, [(FIRST, "train")])
    assert hub.requests == []


def test_a_folder_is_itself(tmp_path):
    assert find_shards(tmp_path) == tmp_path
    assert find_shards("a/b") == Path("a/b")
