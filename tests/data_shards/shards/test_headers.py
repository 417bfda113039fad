"""What a tar's headers say is what the manifest says, or the split is not opened.

Tars are changed and signed anew, so that no checksum gives them away.
"""

import hashlib
import json

import numpy as np
import pytest

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.index import ShardFile
from data_shards.shards.manifest import MANIFEST
from data_shards.shards.verify import verify
from data_shards.stream.windows import origin_of

MUTANTS = 250


def opened(folder) -> ShardedCorpus:
    return ShardedCorpus.open(folder, "toy_flow", "train")


def signed(folder, name, content) -> None:
    """Write a shard and the checksum that its manifest then holds."""
    (folder / name).write_bytes(content)
    values = json.loads((folder / MANIFEST).read_text())
    for record in values["entries"][0]["shards"]:
        if record["name"] == name:
            record["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(values))


def changed(folder, before: bytes, after: bytes) -> None:
    """Replace some bytes of the first shard, everywhere, by as many others."""
    name = "toy_flow-train-000000.tar"
    content = (folder / name).read_bytes()
    assert before in content
    assert len(before) == len(after)
    signed(folder, name, content.replace(before, after))


def edited(folder, **changes) -> None:
    values = json.loads((folder / MANIFEST).read_text())
    values["entries"][0] |= changes
    (folder / MANIFEST).write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"(14, 1, 8, 8)", b"(14, 8, 1, 8)", r"fields are float32 \(14, 8, 1, 8\), the card says"),
        (b"(14, 1, 8, 8)", b"(7, 1, 16, 8)", r"fields are float32 \(7, 1, 16, 8\)"),
        (b"(14, 1, 8, 8)", b"(-4, 1, 8, 8)", r"a shape of \(-4, 1, 8, 8\)"),
        (b"(14, 1, 8, 8)", b"[14, 1, 8, 8]", "not a .npy array"),
        (b"'<f4', 'fort", b"'<f2', 'fort", "bytes do not hold"),
        (b"'<f4', 'fort", b"'|O8', 'fort", "wanted plain floats"),
        (b"'<f4', 'fort", b"'>f4', 'fort", r"fields are >f4 \(14, 1, 8, 8\), the card says"),
        (b"'<f4', 'fort", b"'<q4', 'fort", "not a .npy array"),
        (b"(8, 8), }", b"(4,16), }", r"mask \(4, 16\) is not \(8, 8\)"),
        (b'"split": "train"', b'"split": "trail"', "belongs to toy_flow trail"),
        (b'"dt_s": 0.5', b'"dt_s": NaN', "no usable dt_s"),
        (b'"dt_s": 0.5', b'"dt_s": "5"', "no usable dt_s"),
        (b'"extent": [0.0', b'"extent": [[1]', "no usable extent"),
        (b'"parameters": "{', b'"parameters": "[', "no usable parameters"),
        (b'"boundary": {', b'"bowndary": {', "no usable boundary"),
        (b'{"boundary"', b'["boundary"', "meta.json"),
    ],
)
def test_a_header_that_does_not_fit_is_named_before_anything_is_learnt(
    own_folder, before, after, message
):
    changed(own_folder, before, after)
    with pytest.raises(UserError, match=message) as told:
        opened(own_folder)
    assert "toy_flow-train-000000.tar" in str(told.value)
    assert "\n" not in str(told.value)
    assert not verify(own_folder).ok


def test_fewer_trajectories_than_the_manifest_says_are_told(own_folder):
    edited(own_folder, count=9)
    with pytest.raises(UserError, match=r"7 trajectories of different names.*says 9"):
        opened(own_folder)


def test_a_manifest_of_other_frames_does_not_fit_its_tars(own_folder):
    edited(own_folder, frames=12)
    with pytest.raises(UserError, match=r"the card says float32 \(12, 1, 8, 8\)"):
        opened(own_folder)


def test_a_shard_or_a_split_that_is_listed_twice_is_refused(own_folder):
    values = json.loads((own_folder / MANIFEST).read_text())
    (entry,) = values["entries"]
    for entries, name in (
        ([entry | {"shards": [*entry["shards"], entry["shards"][0]]}], entry["shards"][0]["name"]),
        ([entry, entry], "toy_flow train"),
    ):
        (own_folder / MANIFEST).write_text(json.dumps(values | {"entries": entries}))
        with pytest.raises(UserError, match=f"{name} is listed 2 times"):
            opened(own_folder)


@pytest.mark.attack
def test_no_change_of_a_header_ends_in_a_traceback_or_in_other_fields(
    own_folder, rng, record_property
):
    """Random bytes over tar headers, `.npy` headers and descriptions."""
    name = "toy_flow-train-000000.tar"
    whole = (own_folder / name).read_bytes()
    before = opened(own_folder).trajectory(0).fields
    sample = ShardFile(own_folder / name).samples[0]
    starts = [sample.fields.offset, sample.mask.offset, sample.meta.offset]
    places = [*(s + i for s in starts for i in range(-512, 0)), *range(starts[0], starts[0] + 128)]
    places += [*range(starts[1], starts[1] + 128), *range(starts[2], sample.meta.end)]
    refused = 0
    for _ in range(MUTANTS):
        content = bytearray(whole)
        for place in rng.choice(places, size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        signed(own_folder, name, bytes(content))
        verify(own_folder)
        try:
            corpus = opened(own_folder)
        except UserError:
            refused += 1
            continue
        assert np.array_equal(corpus.trajectory(0).fields, before)
        assert corpus.mask(0).shape == (8, 8)
        origin_of(corpus, 0)
    record_property("attack", "bytes of a shard's tar and `.npy` headers changed, signed anew")
    record_property("trials", MUTANTS)
    record_property("outcome", f"{refused} refused, {MUTANTS - refused} same")
    assert refused > MUTANTS / 2
