"""Laws of the verifier: a sound folder passes; every damage is found and named."""

import io
import json
import tarfile

import numpy as np
import pytest
import webdataset

from data_shards.hashing import sha256_of
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import MANIFEST, read_manifest, write_manifest
from data_shards.shards.verify import check_checksums, verify

SHARD = "toy_flow-train-000000.tar"


def edit(folder, change):
    """Change a shard's bytes, leaving its size."""
    content = bytearray((folder / SHARD).read_bytes())
    length = len(content)
    change(content)
    assert len(content) == length
    (folder / SHARD).write_bytes(content)


def rewrite(folder, change):
    """Repack a shard with `change(name, data) -> list of (name, data)`; correct the manifest.

    The checksum then vouches for the fault, so that only the contents can give it away.
    """
    path = folder / SHARD
    with tarfile.open(path) as tar:
        members = [(info.name, tar.extractfile(info).read()) for info in tar]
    with tarfile.open(path, "w") as tar:
        for name, data in (pair for member in members for pair in change(*member)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    manifest = read_manifest(folder)
    entry = manifest.entries[0]
    first = entry.shards[0].model_copy(
        update={"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    )
    entry = entry.model_copy(update={"shards": (first, *entry.shards[1:])})
    write_manifest(folder, manifest.with_entry(entry))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def messages(folder, deep=True):
    return [f"{fault.shard}: {fault.message}" for fault in verify(folder, deep).faults]


@pytest.mark.parametrize("deep", [True, False])
def test_a_sound_folder_has_no_faults(toy_folder, deep):
    report = verify(toy_folder, deep)
    assert report.ok
    assert report.trajectories == 7 + 5 + 3
    assert report.bytes == sum(path.stat().st_size for path in toy_folder.glob("*.tar"))


def test_who_checks_checksums_tells_of_every_shard(toy_folder):
    told = []
    opened = ShardedCorpus.open(toy_folder, "toy_flow", "train")
    check_checksums([opened], lambda: told.append(1))
    assert len(told) == len(opened.entry.shards) > 1


def test_all_faults_are_listed_not_only_the_first(own_folder):
    shards = read_manifest(own_folder).entries[0].shards
    (own_folder / shards[0].name).unlink()
    (own_folder / shards[1].name).write_bytes(b"short")
    (own_folder / "stray.tar").write_bytes(b"")
    for deep in (True, False):
        stray, missing, truncated = messages(own_folder, deep)
        assert stray.startswith("stray.tar: not in the manifest")
        assert missing.startswith(f"{shards[0].name}: missing")
        assert truncated.startswith(f"{shards[1].name}: truncated: 5 bytes")


def test_one_flipped_bit_is_found_in_deep_mode(own_folder):
    def flip(content):
        content[2000] ^= 1

    edit(own_folder, flip)
    assert verify(own_folder, deep=False).ok
    (fault,) = messages(own_folder)
    assert fault.startswith(f"{SHARD}: changed: sha256")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
def test_garbage_that_ends_an_ordinary_reader_early_in_silence_is_reported(own_folder):
    def spoil(content):
        header = content.index(b"train-000002.fields.npy")
        content[header : header + 512] = b"\xa5" * 512

    edit(own_folder, spoil)
    read = list(webdataset.WebDataset(str(own_folder / SHARD), shardshuffle=False))
    held = read_manifest(own_folder).entries[0].shards[0].count
    assert len(read) < held  # no error, but trajectories are gone
    assert any("garbage instead of a tar header" in message for message in messages(own_folder))


def test_zeros_over_a_header_are_no_end_of_the_shard(own_folder):
    def blank(content):
        header = content.index(b"train-000002.fields.npy")
        content[header : header + 512] = bytes(512)

    edit(own_folder, blank)
    assert any("data follow the end marker" in message for message in messages(own_folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda name, data: [] if name == "train-000001.mask.npy" else [(name, data)],
            "sample 'train-000001' lacks mask.npy",
        ),
        (
            lambda name, data: [] if name.startswith("train-000001.") else [(name, data)],
            "holds 5 trajectories, the manifest says 6",
        ),
        (
            lambda name, data: [(name.replace("000001", "000000"), data)],
            "key 'train-000000' occurs twice",
        ),
        (
            lambda name, data: [(name.replace("000001", "000006"), data)],
            "key 'train-000006' is also in toy_flow-train-000000.tar",
        ),
        (
            lambda name, data: (
                [(name, data), ("notes.txt", b"x")] if "1.meta" in name else [(name, data)]
            ),
            "member 'notes.txt' is none of",
        ),
        (
            lambda name, data: [
                (
                    name,
                    npy(np.full((14, 1, 8, 8), np.inf, np.float32)) if "1.fields" in name else data,
                )
            ],
            "train-000001: channel c0 is not finite in frame 0",
        ),
        (
            lambda name, data: [
                (name, npy(np.zeros((14, 2, 8, 8), np.float32)) if "1.fields" in name else data)
            ],
            r"train-000001: fields are float32 (14, 2, 8, 8), the card says float32 (14, 1, 8, 8)",
        ),
        (
            lambda name, data: [
                (name, npy(np.full((8, 8), 0.5, np.float32)) if "1.mask" in name else data)
            ],
            "train-000001: mask (8, 8) is not (8, 8) of zeros and ones",
        ),
        (
            lambda name, data: [(name, b"no array" if "1.mask" in name else data)],
            "train-000001: train-000001.mask.npy: not a .npy array",
        ),
        (
            lambda name, data: [(name, data[:-8] if "1.fields" in name else data)],
            "bytes do not hold float32 (14, 1, 8, 8)",
        ),
        (
            lambda name, data: [(name, b"{" if "1.meta" in name else data)],
            "train-000001: train-000001.meta.json: not readable as JSON: Expecting",
        ),
        (
            lambda name, data: [
                (
                    name,
                    json.dumps({"corpus": "x", "split": "y"}).encode()
                    if "1.meta" in name
                    else data,
                )
            ],
            "train-000001: belongs to x y",
        ),
    ],
)
def test_a_fault_inside_a_shard_is_named_even_if_its_checksum_is_right(own_folder, change, message):
    rewrite(own_folder, change)
    assert any(message in came for came in messages(own_folder)), messages(own_folder)


def test_a_pickled_array_is_refused_not_loaded(own_folder):
    array = np.array([{"a": 1}], object)
    rewrite(own_folder, lambda name, data: [(name, npy(array) if "1.mask" in name else data)])
    assert any("wanted plain floats" in message for message in messages(own_folder))


def test_a_manifest_whose_counts_disagree_is_named(own_folder):
    values = json.loads((own_folder / MANIFEST).read_text())
    values["entries"][0]["count"] = 9
    (own_folder / MANIFEST).write_text(json.dumps(values))
    (fault,) = messages(own_folder, deep=False)
    assert fault == "toy_flow train: its shards hold 7 trajectories, the manifest says 9"


def test_a_parameter_that_the_card_gives_and_no_trajectory_says_is_named(own_folder):
    values = json.loads((own_folder / MANIFEST).read_text())
    for entry in values["entries"]:
        entry["card"]["parameters"]["omega"] = {"low": 1, "high": 9, "unit": ""}
        entry["card"]["parameters"]["fixed"] = {"low": 3, "high": 3, "unit": ""}
        entry["card"]["given"] = ["c0", "omega", "fixed"]
        entry["card"]["asked"] = ["c0"]
    (own_folder / MANIFEST).write_text(json.dumps(values))
    found = messages(own_folder)
    assert len(found) == sum(entry["count"] for entry in values["entries"])
    assert all("no number omega, which the card gives" in message for message in found)
