"""Checkpoints to and from a hub on this machine, over real HTTP, with everything that breaks."""

import shutil
from pathlib import Path

import pytest
import torch
from architectures import config_of, network_of
from local_hub import TOKEN, LocalHub, only_hub

from data_shards.errors import UserError
from data_shards.remote.share import push_shards
from foundation import Surrogate
from foundation.checkpoint.folder import save_folder
from foundation.checkpoint.share import pull_checkpoint, push_checkpoint

REPO = "somebody/nano"

# huggingface_hub 2.4 hands files to its HTTP library in a way that this one is to lose.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with only_hub(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def folder(tmp_path) -> Path:
    network = network_of("moe_pot", seed=3)
    save_folder(tmp_path / "nano", config_of("moe_pot"), network.state_dict(), {"steps": 7}, "60KB")
    (tmp_path / "nano" / "README.md").write_text("---\nlicense: mit\n---\n# Nano\n")
    return tmp_path / "nano"


def files_of(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def shared(hub, folder) -> LocalHub:
    hub.add(REPO, files_of(folder))
    return hub


def test_what_is_pushed_is_pulled_bit_for_bit(hub, folder, tmp_path, generator):
    (folder / ".eval_results").mkdir()
    (folder / ".eval_results" / "swe.yaml").write_text("- value: 1\n")
    address = push_checkpoint(folder, REPO, token=TOKEN, endpoint=hub.endpoint, private=True)
    assert address.startswith(f"{hub.endpoint}/{REPO}/commit/")
    assert hub.repositories[REPO].private
    assert len(hub.repositories[REPO].commits) == 2, "empty, then everything at once"
    out = pull_checkpoint(REPO, tmp_path / "mine", token=TOKEN, endpoint=hub.endpoint)
    assert files_of(out) == files_of(folder)
    ours, theirs = Surrogate.from_pretrained(folder), Surrogate.from_pretrained(out)
    context = torch.randn(1, 10, 4, 16, 16, generator=generator)
    assert torch.equal(ours.forecast(context, 2), theirs.forecast(context, 2))
    assert ours.fingerprint == theirs.fingerprint


def test_only_what_belongs_to_a_checkpoint_goes_up_and_comes_down(hub, folder, tmp_path):
    (folder / "optimiser.pt").write_bytes(b"secret")
    (folder / ".env").write_text("TOKEN=1")
    (folder / "notes.txt").write_text("not yours")
    push_checkpoint(folder, REPO, token=TOKEN, endpoint=hub.endpoint)
    held = hub.repositories[REPO].files
    assert {"config.json", "README.md", "model.safetensors.index.json"} <= set(held)
    assert not {"optimiser.pt", ".env", "notes.txt"} & set(held)
    held["pytorch_model.bin"] = b"a pickle"
    out = pull_checkpoint(REPO, tmp_path / "mine", endpoint=hub.endpoint)
    assert not (out / "pytorch_model.bin").exists()
    assert not any("pytorch_model.bin" in request for request in hub.requests)


def test_a_second_push_replaces_the_form_of_the_weights_and_sends_nothing_twice(hub, folder):
    push_checkpoint(folder, REPO, token=TOKEN, endpoint=hub.endpoint)
    uploads = [r for r in hub.requests if r.startswith("PUT")]
    push_checkpoint(folder, REPO, token=TOKEN, endpoint=hub.endpoint)
    assert [r for r in hub.requests if r.startswith("PUT")] == uploads
    model = Surrogate.from_pretrained(folder)
    model.push_to_hub(REPO, token=TOKEN, endpoint=hub.endpoint, message="In one file")
    names = set(hub.repositories[REPO].files)
    assert {name for name in names if "safetensors" in name} == {"model.safetensors"}
    assert hub.repositories[REPO].messages[-1] == "In one file"
    again = Surrogate.from_pretrained(REPO, endpoint=hub.endpoint)
    assert again.fingerprint == model.fingerprint


def test_a_revision_is_a_commit_of_its_own(shared, folder, generator):
    old = shared.repositories[REPO].sha(0)
    other = Surrogate(network_of("moe_pot", seed=8), config_of("moe_pot"), {})
    other.push_to_hub(REPO, token=TOKEN, endpoint=shared.endpoint)
    first = Surrogate.from_pretrained(REPO, revision=old, endpoint=shared.endpoint)
    newest = Surrogate.from_pretrained(REPO, endpoint=shared.endpoint)
    assert first.fingerprint == Surrogate.from_pretrained(folder).fingerprint
    assert newest.fingerprint != first.fingerprint


def test_the_cache_serves_when_the_hub_is_gone(shared, tmp_path):
    settings = {"endpoint": shared.endpoint, "cache_dir": tmp_path / "another"}
    first = Surrogate.from_pretrained(REPO, **settings)
    shared.faults.add("down")
    count = len(shared.requests)
    again = Surrogate.from_pretrained(REPO, local_files_only=True, **settings)
    assert again.fingerprint == first.fingerprint
    assert len(shared.requests) == count, "nobody was asked"
    with pytest.raises(UserError, match="the hub did not give it"):
        Surrogate.from_pretrained("somebody/else", local_files_only=True, **settings)


def test_a_private_repository_opens_to_its_token_only(shared):
    shared.repositories[REPO].private = True
    with pytest.raises(UserError, match=r"no such repository, or a private one .*auth login"):
        Surrogate.from_pretrained(REPO, endpoint=shared.endpoint)
    Surrogate.from_pretrained(REPO, endpoint=shared.endpoint, token=TOKEN)


def test_a_download_that_breaks_off_once_goes_on_where_it_was(shared, tmp_path):
    shared.faults.add("drop_once")
    out = pull_checkpoint(REPO, tmp_path / "mine", endpoint=shared.endpoint)
    assert Surrogate.from_pretrained(out).about == {"steps": 7}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("drop", "no connection, or one that broke"),
        ("down", "no connection, or one that broke"),
        ("shorten", "should be of size"),
        ("corrupt", "came with checksum .* thrown away, try again"),
        ("gate", "asks for consent"),
    ],
)
def test_a_download_that_fails_is_one_line_and_leaves_nothing(shared, tmp_path, fault, message):
    shared.faults.add(fault)
    with pytest.raises(UserError, match=message) as raised:
        pull_checkpoint(REPO, tmp_path / "mine", endpoint=shared.endpoint)
    assert "\n" not in str(raised.value)
    assert not [path for path in tmp_path.iterdir() if "mine" in path.name]
    shared.faults.clear()
    pull_checkpoint(REPO, tmp_path / "mine", endpoint=shared.endpoint)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nobody/nothing", {}, "no such repository"),
        (REPO, {"revision": "v9"}, "no such revision"),
        (f"{REPO}/more", {}, "not a hub id"),
        ("a b/c", {}, "not a hub id"),
        ("nano", {}, "not a hub id"),
    ],
)
def test_what_is_not_there_is_told(shared, tmp_path, name, settings, message):
    with pytest.raises(UserError, match=message) as raised:
        pull_checkpoint(name, tmp_path / "mine", endpoint=shared.endpoint, **settings)
    assert "\n" not in str(raised.value)


def test_a_repository_that_is_no_checkpoint_is_refused_after_the_download(hub, folder, tmp_path):
    files = files_of(folder)
    hub.add("a/weightless", {"config.json": files["config.json"]})
    hub.add("a/empty", {"README.md": b"# nothing"})
    with pytest.raises(UserError, match=r"not a whole checkpoint: model\.safetensors is missing"):
        pull_checkpoint("a/weightless", tmp_path / "mine", endpoint=hub.endpoint)
    with pytest.raises(UserError, match=r"holds no config\.json"):
        pull_checkpoint("a/empty", tmp_path / "mine", endpoint=hub.endpoint)
    assert not (tmp_path / "mine").exists()


def test_nothing_is_overwritten_by_a_pull(shared, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    with pytest.raises(UserError, match="exists already"):
        pull_checkpoint(REPO, tmp_path / "mine", endpoint=shared.endpoint)
    assert shared.requests == []


@pytest.mark.parametrize(
    ("fault", "token", "message"),
    [
        (None, None, r"no permission \(status 401\)|no such repository"),
        (None, "hf_wrong", r"no permission \(status 401\)|no such repository"),
        ("forbid", TOKEN, r"no permission \(status 403\)"),
        ("drop_upload", TOKEN, "no connection, or one that broke"),
        ("corrupt_upload", TOKEN, "sha256 is not the one announced"),
        ("down", TOKEN, "no connection, or one that broke"),
    ],
)
def test_a_push_that_fails_is_one_line_and_changes_nothing(hub, folder, fault, token, message):
    hub.faults |= {fault} if fault else set()
    with pytest.raises(UserError, match=message) as raised:
        push_checkpoint(folder, REPO, token=token, endpoint=hub.endpoint)
    assert "\n" not in str(raised.value)
    assert REPO not in hub.repositories or hub.repositories[REPO].files == {}
    hub.faults.clear()
    push_checkpoint(folder, REPO, token=TOKEN, endpoint=hub.endpoint)


def test_a_damaged_folder_is_refused_before_the_hub_is_asked(hub, folder):
    next(folder.glob("model-*.safetensors")).unlink()
    with pytest.raises(UserError, match="not a whole checkpoint"):
        push_checkpoint(folder, REPO, token=TOKEN, endpoint=hub.endpoint)
    assert hub.requests == []


def test_shards_are_a_data_set_with_its_card(hub, waves):
    settings = {"token": TOKEN, "endpoint": hub.endpoint}
    address = push_shards(waves, "somebody/waves", **settings)
    assert address == f"{hub.endpoint}/datasets/somebody/waves"
    repository = hub.repositories["somebody/waves"]
    assert repository.kind == "dataset"
    held = {path.name: path.read_bytes() for path in waves.iterdir() if path.is_file()}
    assert repository.files == held
    assert b"configs:" in repository.files["README.md"]
    push_shards(waves, "somebody/waves", **settings)
    assert len(repository.commits) == 2, "nothing changed, nothing was committed"


def test_faulty_shards_are_refused_before_the_hub_is_asked(hub, waves, tmp_path):
    copy = shutil.copytree(waves, tmp_path / "copy")
    shard = next(copy.glob("*.tar"))
    shard.write_bytes(b"\1" + shard.read_bytes()[1:])
    with pytest.raises(UserError, match=f"faults, nothing was pushed; {shard.name}"):
        push_shards(copy, "somebody/waves", token=TOKEN, endpoint=hub.endpoint)
    with pytest.raises(UserError, match="no manifest"):
        push_shards(tmp_path, "somebody/waves", token=TOKEN, endpoint=hub.endpoint)
    assert hub.requests == []
