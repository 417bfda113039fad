"""A bad sample is told by its data, and a whole neighbour comes in its place."""

from dataclasses import replace

import pytest
import torch
from spoilt_shards import with_value
from travelling_waves import CORPORA

from data_shards.shards.corpus import ShardedCorpus
from data_shards.stream.layout import square
from data_shards.stream.mixture import MixtureConfig
from data_shards.stream.stream import SampleStream, StreamConfig
from foundation.train.faulty import fault_of, faulty, without_faulty

BAD = "toy_wave/train-000003"


def stream_of(shards) -> SampleStream:
    corpora = [ShardedCorpus.open(shards, name, "train") for name in CORPORA]
    config = StreamConfig(mixture=MixtureConfig(seed=0), context_frames=10, target_frames=1)
    return SampleStream(corpora, config, square(16))


@pytest.fixture(scope="module")
def spoilt(waves, tmp_path_factory) -> SampleStream:
    folder = tmp_path_factory.mktemp("spoilt") / "shards"
    nan = float("nan")
    return stream_of(with_value(waves, folder, nan, trajectory=3, frame=9, corpus="toy_wave"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("side", ["given", "asked"])
def test_what_is_not_finite_or_has_no_square_is_at_fault(waves, side, value):
    batch = stream_of(waves).decode(0, 4)
    assert faulty(batch) == []
    fields = getattr(batch, side).clone()
    fields[2, -1, 0, 3, 3] = value
    batch = replace(batch, **{side: fields})
    assert faulty(batch) == [2]
    what = "holds NaN" if value != value else f"reaches {abs(value):.3g}"
    assert fault_of(batch, 2) == f"{batch.keys[2]} ({side} {what})"


def test_large_values_that_can_be_squared_are_no_fault(waves):
    batch = stream_of(waves).decode(0, 4)
    assert faulty(replace(batch, asked=batch.asked * 1e15)) == []


def test_a_whole_neighbour_is_taken_whatever_the_ranks(spoilt):
    whole, bad = spoilt.decode(0, 48), [k for k in spoilt.sample_keys(0, 48) if BAD in k]
    assert bad
    batch, faults = without_faulty(whole, spoilt, 0)
    assert len(faults) == len(bad)
    assert all(fault.startswith(BAD) for fault in faults)
    assert faulty(batch) == []
    assert not any(BAD in key for key in batch.keys)
    for row, key in enumerate(whole.keys):
        if key not in bad:
            assert batch.keys[row] == key
            assert torch.equal(batch.given[row], whole.given[row])
    halves = [without_faulty(spoilt.decode(first, 24), spoilt, first) for first in (0, 24)]
    assert halves[0][0].keys + halves[1][0].keys == batch.keys
    assert torch.equal(torch.cat([half.asked for half, _ in halves]), batch.asked)
    assert halves[0][1] + halves[1][1] == faults


def test_a_batch_without_faults_is_the_same_batch(waves):
    stream = stream_of(waves)
    batch = stream.decode(0, 4)
    assert without_faulty(batch, stream, 0) == (batch, [])
