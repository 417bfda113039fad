"""Laws of the writer: same data, same bytes; nothing half-done under a final name."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from data_shards.errors import UserError
from data_shards.hashing import sha256_of
from data_shards.shards import writer
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import Provenance, read_manifest
from data_shards.shards.verify import verify


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_same_trajectories_give_the_same_bytes(tmp_path, write_toy, monkeypatch):
    first = write_toy(tmp_path / "a", "toy_flow")
    monkeypatch.setattr(time, "time", lambda: 2e9)  # another day
    second = write_toy(tmp_path / "b", "toy_flow")
    assert first == second
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_another_seed_gives_another_fingerprint(tmp_path, write_toy):
    entries = [write_toy(tmp_path, "toy_flow", seed=seed) for seed in (0, 1)]
    assert entries[0].fingerprint != entries[1].fingerprint


def test_checksums_and_sizes_in_the_manifest_are_those_of_the_files(tmp_path, write_toy):
    entry = write_toy(tmp_path, "toy_flow")
    assert len(entry.shards) > 1
    for shard in entry.shards:
        assert sha256_of(tmp_path / shard.name) == shard.sha256
        assert (tmp_path / shard.name).stat().st_size == shard.bytes
    assert sum(shard.count for shard in entry.shards) == entry.count == 7


def test_a_shard_closes_before_it_would_outgrow_its_limit(tmp_path, write_toy):
    entry = write_toy(tmp_path, "toy_flow", shard_bytes=40_000)
    # Above the members' bytes come the end marker and its padding to one tar record of 10 kB.
    assert all(shard.bytes <= 40_000 + 10_240 for shard in entry.shards)
    one_each = write_toy(tmp_path, "toy_flow", shard_bytes=1)
    assert [shard.count for shard in one_each.shards] == [1] * 7
    assert verify(tmp_path).ok


def test_corpora_and_splits_share_a_folder(tmp_path, write_toy):
    write_toy(tmp_path, "toy_gas")
    write_toy(tmp_path, "toy_flow", 2, split="test")
    write_toy(tmp_path, "toy_flow")
    names = [(entry.corpus, entry.split) for entry in read_manifest(tmp_path).entries]
    assert names == [("toy_flow", "test"), ("toy_flow", "train"), ("toy_gas", "train")]
    assert verify(tmp_path).ok


def test_a_replaced_split_leaves_no_old_shard_behind(tmp_path, write_toy):
    write_toy(tmp_path, "toy_flow", 7)
    other = write_toy(tmp_path, "toy_gas")
    entry = write_toy(tmp_path, "toy_flow", 2, seed=1)
    assert sorted(p.name for p in tmp_path.glob("toy_flow*")) == [s.name for s in entry.shards]
    assert read_manifest(tmp_path).entry("toy_gas", "train") == other
    assert verify(tmp_path).ok


def test_float16_keeps_three_digits_and_halves_the_size(tmp_path, write_toy, toy_trajectories):
    full = write_toy(tmp_path / "full", "toy_gas")
    half = write_toy(tmp_path / "half", "toy_gas", storage="float16")
    assert half.bytes < 0.65 * full.bytes
    corpus = ShardedCorpus.open(tmp_path / "half", "toy_gas", "train")
    window = corpus.window(1, 0, corpus.frames)
    assert window.dtype == np.float32
    # Half of the spacing of an 11-bit significand, relative; tiny values are subnormal.
    np.testing.assert_allclose(window, toy_trajectories("toy_gas")[1].fields, 2**-11, 1e-7)
    assert verify(tmp_path / "half").ok


def test_values_beyond_float16_are_refused_rather_than_stored_as_infinity(
    tmp_path, toy_card, toy_trajectories
):
    trajectory = toy_trajectories("toy_flow", 1)[0]
    trajectory.fields[3, 0, 2, 2] = 1e5
    with pytest.raises(UserError, match="values exceed float16"):
        _write(tmp_path, toy_card("toy_flow"), [trajectory], storage="float16")


def _write(out, card, trajectories, count=None, **options):
    from_first = trajectories if callable(trajectories) else lambda first: trajectories[first:]
    return writer.write_corpus(
        from_first,
        card,
        split="train",
        out=out,
        count=len(trajectories) if count is None else count,
        provenance=Provenance(producer="random", version=1, seed=0),
        **options,
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            lambda t: t.fields.__setitem__((2, 0, 1, 1), np.nan),
            "channel c0 is not finite in frame 2",
        ),
        (
            lambda t: object.__setattr__(t, "mask", np.full((8, 8), 0.5, np.float32)),
            r"mask holds other values than 0 \(solid\) and 1",
        ),
        (lambda t: object.__setattr__(t, "corpus", "other"), "belongs to corpus 'other'"),
        (lambda t: object.__setattr__(t, "fields", t.fields[:5]), r"its card says \(14, 1, 8, 8\)"),
        (
            lambda t: object.__setattr__(t, "fields", t.fields[..., ::2, ::2]),
            r"\(14, 1, 4, 4\), those before it \(14, 1, 8, 8\)",
        ),
    ],
)
def test_what_violates_the_card_is_refused_by_name(
    own_folder, toy_card, toy_trajectories, fault, message
):
    before = snapshot(own_folder)
    trajectories = toy_trajectories("toy_flow", 3)
    fault(trajectories[2])
    with pytest.raises(UserError, match=f"toy_flow trajectory 2: .*{message}"):
        _write(own_folder, toy_card("toy_flow"), trajectories)
    assert snapshot(own_folder) == before


@pytest.mark.parametrize("count", [2, 4])
def test_fewer_or_more_trajectories_than_promised_publish_nothing(
    own_folder, toy_card, toy_trajectories, count
):
    before = snapshot(own_folder)
    with pytest.raises(RuntimeError, match=f"3 trajectories came, not {count}"):
        _write(own_folder, toy_card("toy_flow"), toy_trajectories("toy_flow", 3), count)
    assert snapshot(own_folder) == before


def _write_until_killed(out, card, trajectories):
    def stream():
        yield from trajectories[:-1]
        os.kill(os.getpid(), signal.SIGKILL)

    _write(out, card, lambda first: stream(), len(trajectories), shard_bytes=1)


def test_a_killed_writer_leaves_the_old_state_and_the_next_one_cleans_up(
    own_folder, toy_card, toy_trajectories, write_toy
):
    before = snapshot(own_folder)
    arguments = (own_folder, toy_card("toy_flow"), toy_trajectories("toy_flow", seed=9))
    process = multiprocessing.get_context("fork").Process(
        target=_write_until_killed, args=arguments
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list((own_folder / ".partial-toy_flow-train").iterdir())  # it had got that far
    assert snapshot(own_folder) == before
    assert verify(own_folder).ok
    write_toy(own_folder, "toy_flow", seed=9)
    assert not list(own_folder.glob(".partial*"))
    assert verify(own_folder).ok


@pytest.mark.parametrize("moves", [0, 1])
def test_a_kill_while_publishing_never_leaves_a_manifest_that_lies(
    own_folder, write_toy, monkeypatch, moves
):
    write_toy(own_folder, "toy_gas")
    replace, done = os.replace, []

    def replace_some(source, target):
        if str(target).endswith(".tar"):
            if len(done) == moves:
                raise KeyboardInterrupt
            done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_some)
    with pytest.raises(KeyboardInterrupt):
        write_toy(own_folder, "toy_flow", seed=1)
    monkeypatch.undo()
    manifest = read_manifest(own_folder)
    assert [entry.corpus for entry in manifest.entries] == ["toy_gas"]
    listed = {shard.name for entry in manifest.entries for shard in entry.shards}
    # Shards that had already arrived are not vouched for, and the verifier says so.
    assert all(fault.shard not in listed for fault in verify(own_folder).faults)
    write_toy(own_folder, "toy_flow", seed=1)
    assert verify(own_folder).ok


def test_two_writers_of_one_split_do_not_mix(own_folder, toy_card, toy_trajectories, write_toy):
    def while_writing():
        with pytest.raises(UserError, match="another process is writing"):
            write_toy(own_folder, "toy_flow")
        write_toy(own_folder, "toy_gas")  # another corpus may
        yield from toy_trajectories("toy_flow", seed=2)

    _write(own_folder, toy_card("toy_flow"), lambda first: while_writing(), 7)
    assert len(read_manifest(own_folder).entries) == 2
    assert verify(own_folder).ok


def test_a_folder_that_cannot_be_written_is_a_users_error(tmp_path, write_toy):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write shards there"):
        write_toy(tmp_path / "file", "toy_flow")
