"""What goes wrong in a data worker is one line in its trainer, not a trace and not silence."""

import errno
import shutil
from collections import namedtuple
from itertools import islice
from typing import Any

import pytest
import torch

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.batch import Batch
from data_shards.stream.layout import square
from data_shards.stream.shared import check_shared_memory
from data_shards.stream.stream import SampleStream, StreamConfig

FULL = "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"


@pytest.fixture
def stream(toy_folder: Any) -> SampleStream:
    corpus = ShardedCorpus.open(toy_folder, "toy_flow", "train")
    return SampleStream([corpus], StreamConfig(workers=1), square(8))


def test_batches_of_workers_lie_in_shared_memory(stream: SampleStream) -> None:
    (batch,) = islice(stream.batches(0, 4), 1)
    assert batch.given.is_shared()
    assert batch.corpus_id.is_shared()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("shard a.tar: cut short"), r"\Ashard a.tar: cut short\Z"),
        (OSError(errno.EIO, "Input/output error", "a.tar"), "Input/output error.*a.tar"),
        (RuntimeError(FULL), r"\A/dev/shm: .*No space left on device \(28\).*data.workers=0\Z"),
    ],
)
def test_an_error_of_a_worker_is_raised_as_it_is(
    stream: SampleStream, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(_: Batch) -> Batch:
        raise error

    monkeypatch.setattr(Batch, "share", fail)  # the worker is a fork of this process
    expected = UserError if isinstance(error, RuntimeError) else type(error)
    with pytest.raises(expected, match=message) as told:
        next(stream.batches(0, 4))
    assert "\n" not in str(told.value)


def test_too_little_shared_memory_is_said_before_a_worker_starts(stream, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 20))
    check_shared_memory(1 << 20)
    with pytest.raises(UserError, match=r"too full: 1 MiB are free.* take 2 MiB"):
        check_shared_memory((1 << 20) + 1)
    small = 2 * stream.batch_bytes(4)  # two are kept ready by a worker
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(small - 1))
    with pytest.raises(UserError, match="/dev/shm: too full"):
        stream.batches(0, 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(small))
    assert torch.isfinite(next(stream.batches(0, 4)).given).all()
