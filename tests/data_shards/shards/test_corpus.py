"""Laws of an opened corpus: what was written is read, window by window, and damage is named."""

import mmap
import pickle

import numpy as np
import pytest

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import MANIFEST, read_manifest
from data_shards.shards.tar import ShardError


@pytest.mark.parametrize("name", ["toy_flow", "toy_gas", "toy_solid"])
def test_a_trajectory_comes_back_as_it_was_written(toy_folder, toy_trajectories, toy_card, name):
    corpus = ShardedCorpus.open(toy_folder, name, "train")
    written = toy_trajectories(name)
    assert corpus.num_trajectories == len(corpus) == len(written)
    assert corpus.card == toy_card(name)
    for index, trajectory in enumerate(written):
        read = corpus.trajectory(index)
        np.testing.assert_array_equal(read.fields, trajectory.fields)
        np.testing.assert_array_equal(read.full_mask, trajectory.full_mask)
        for attribute in ("corpus", "index", "seed", "dt_s", "extent", "boundary", "parameters"):
            assert getattr(read, attribute) == getattr(trajectory, attribute)


@pytest.mark.parametrize(("start", "length"), [(0, 1), (0, 14), (3, 11), (13, 1)])
def test_a_window_is_a_slice_of_the_whole(toy_folder, start, length):
    corpus = ShardedCorpus.open(toy_folder, "toy_flow", "train")
    for index in range(len(corpus)):
        np.testing.assert_array_equal(
            corpus.window(index, start, length),
            corpus.trajectory(index).fields[start : start + length],
        )


def test_a_window_is_the_mapped_file_itself_not_a_copy(toy_folder):
    window = ShardedCorpus.open(toy_folder, "toy_flow", "train").window(3, 2, 4)
    assert not window.flags.writeable
    owner = window
    while isinstance(owner, np.ndarray):
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    assert isinstance(owner, mmap.mmap)


@pytest.mark.parametrize(
    ("trajectory", "start", "length"), [(7, 0, 1), (-1, 0, 1), (0, 10, 5), (0, -1, 2), (0, 0, 0)]
)
def test_a_window_outside_the_corpus_is_refused(toy_folder, trajectory, start, length):
    corpus = ShardedCorpus.open(toy_folder, "toy_flow", "train")
    with pytest.raises(IndexError, match="toy_flow"):
        corpus.window(trajectory, start, length)


def test_an_opened_corpus_travels_to_other_processes_without_its_data(toy_folder):
    corpus = ShardedCorpus.open(toy_folder, "toy_gas", "train")
    window = corpus.window(2, 1, 3)
    packed = pickle.dumps(corpus)
    assert len(packed) < 20_000
    np.testing.assert_array_equal(pickle.loads(packed).window(2, 1, 3), window)


def first_shard(folder):
    return folder / read_manifest(folder).entries[0].shards[0].name


def test_a_missing_shard_is_named(own_folder):
    first_shard(own_folder).unlink()
    with pytest.raises(ShardError, match=r"toy_flow-train-000000\.tar: missing"):
        ShardedCorpus.open(own_folder, "toy_flow", "train")


def test_a_truncated_shard_is_named(own_folder):
    path = first_shard(own_folder)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ShardError, match=r"toy_flow-train-000000\.tar: truncated: \d+ bytes"):
        ShardedCorpus.open(own_folder, "toy_flow", "train")


def test_a_longer_shard_is_named(own_folder):
    path = first_shard(own_folder)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ShardError, match=r"toy_flow-train-000000\.tar: changed"):
        ShardedCorpus.open(own_folder, "toy_flow", "train")


def test_garbage_over_a_header_is_named_although_the_size_is_right(own_folder):
    path = first_shard(own_folder)
    content = bytearray(path.read_bytes())
    header = content.index(b"train-000002.fields.npy")
    content[header : header + 300] = b"\xff" * 300
    path.write_bytes(content)
    with pytest.raises(ShardError, match=rf"garbage instead of a tar header at byte {header}"):
        ShardedCorpus.open(own_folder, "toy_flow", "train")


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("toy_flaw", "train", "unknown corpus 'toy_flaw'; did you mean 'toy_flow'"),
        ("toy_flow", "tran", "unknown split of toy_flow 'tran'; did you mean 'train'"),
        ("toy_flow", "test", "unknown split of toy_flow 'test'.* known: train"),
    ],
)
def test_an_unknown_corpus_or_split_gets_the_nearest_name(own_folder, name, split, message):
    with pytest.raises(UserError, match=message):
        ShardedCorpus.open(own_folder, name, split)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "no manifest.json"),
        (lambda folder: (folder.mkdir(), (folder / MANIFEST).write_text("{")), "not readable"),
        (
            lambda folder: (folder.mkdir(), (folder / MANIFEST).write_text('{"formt": 1}')),
            "unknown key 'formt'; did you mean 'format'",
        ),
    ],
)
def test_a_folder_without_a_manifest_is_named(tmp_path, prepare, message):
    prepare(tmp_path / "shards")
    with pytest.raises(UserError, match=message):
        ShardedCorpus.open(tmp_path / "shards", "toy_flow", "train")
