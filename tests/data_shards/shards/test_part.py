"""Parts of a split: nested choices of trajectories, and frames kept from training."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from travelling_waves import FRAMES

from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.part import CorpusPart, few, hold_out
from data_shards.stream.layout import square
from data_shards.stream.stream import SampleStream, StreamConfig


@pytest.fixture
def wave(waves: Path) -> ShardedCorpus:
    return ShardedCorpus.open(waves, "toy_wave", "train")


def test_a_few_are_among_more_of_the_same_seed(wave):
    chosen = [set(few(wave, count, 3).keys) for count in range(1, 13)]
    for smaller, larger in pairwise(chosen):
        assert smaller < larger
    assert chosen[-1] == set(wave.keys)


def test_seeds_choose_differently(wave):
    assert len({few(wave, 4, seed).keys for seed in range(8)}) > 4


def test_a_part_reads_what_the_whole_has_there(wave):
    part = few(wave, 5, 0)
    for number, key in enumerate(part.keys):
        there = wave.keys.index(key)
        assert np.array_equal(part.window(number, 2, 6), wave.window(there, 2, 6))
        assert np.array_equal(part.mask(number), wave.mask(there))
        assert part.metadata(number) == wave.metadata(there)
    assert part.num_trajectories == len(part) == 5
    assert part.fingerprint == wave.fingerprint


def test_a_part_ends_where_it_ends(wave):
    part = CorpusPart(wave, [4, 2], 3, 5)
    assert np.array_equal(part.window(1, 1, 4), wave.window(2, 4, 4))
    for bad in ((2, 0, 5), (0, 1, 5), (0, -1, 2)):
        with pytest.raises(IndexError):
            part.window(*bad)
    with pytest.raises(ValueError, match="frames 3"):
        CorpusPart(wave, [0], 3, FRAMES)


def test_more_than_there_are_is_refused(wave):
    with pytest.raises(UserError, match="has 12; ask for at most 12"):
        few(wave, 13, 0)


def test_held_out_frames_are_never_trained_on(wave):
    seen, held = hold_out(few(wave, 3, 0), 3, 10)
    assert seen.frames == FRAMES - 3
    assert held.frames == 10 + 3
    number = wave.keys.index(held.keys[2])
    assert np.array_equal(held.window(2, 10, 3), wave.window(number, FRAMES - 3, 3))
    stream = SampleStream([seen], StreamConfig(), square(32))
    starts = {int(key.partition("@")[2]) for key in stream.sample_keys(0, 300)}
    assert starts == set(range(FRAMES - 3 - 11 + 1)), "every window that ends before them"


def test_holding_out_too_much_is_refused(wave):
    with pytest.raises(UserError, match="hold out at most 5"):
        hold_out(wave, 6, 10)
