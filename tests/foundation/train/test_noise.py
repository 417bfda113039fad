"""Noise depends on the sample's number in the stream alone."""

from dataclasses import replace

import torch

from data_shards.stream.batch import Batch
from foundation.train.noise import with_noise


def batch(count: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    fields = torch.randn(count, 10, 3, 8, 8, generator=generator)
    mask = torch.tensor([1.0, 1.0, 0.0]).expand(count, 3)
    valid, ids = torch.ones(count, 1, 8, 8), torch.zeros(count, dtype=torch.int64)
    return Batch(fields, fields[:, :1], mask, valid, ids, ("",) * count)


def part(whole: Batch, rows: slice) -> Batch:
    tensors = (whole.given, whole.asked, whole.asked_mask, whole.valid_mask, whole.corpus_id)
    return Batch(*(t[rows] for t in tensors), whole.keys[rows])


def test_a_rank_draws_for_its_samples_what_one_process_draws():
    whole = with_noise(batch(6), 1e-3, seed=0, first_sample=100)
    half = with_noise(part(batch(6), slice(3, 6)), 1e-3, seed=0, first_sample=103)
    assert torch.equal(half.given, whole.given[3:])


def test_noise_has_the_published_size_on_real_channels_and_is_absent_on_padding():
    clean = batch(4)
    noise = with_noise(clean, 1e-2, seed=0, first_sample=0).given - clean.given
    norm = clean.given.square().sum((1, 3, 4)).sqrt()
    # 640 draws per channel: their deviation is within 10 % (3.6 standard errors)
    torch.testing.assert_close(noise[:, :, :2].std((1, 3, 4)), 1e-2 * norm[:, :2], rtol=0.1, atol=0)
    assert noise[:, :, 2].abs().max() == 0


def test_as_published_padding_is_made_noisy_too():
    clean = batch(4)
    real, every = (
        with_noise(clean, 1e-2, seed=0, first_sample=0, on=on).given for on in ("real", "all")
    )
    assert torch.equal(every[:, :, :2], real[:, :, :2])
    norm = clean.given[:, :, 2].square().sum((1, 2, 3)).sqrt()
    noise = (every - clean.given)[:, :, 2]
    torch.testing.assert_close(noise.std((1, 2, 3)), 1e-2 * norm, rtol=0.1, atol=0)


def test_other_seeds_and_samples_draw_other_noise():
    clean = batch(2)
    first = with_noise(clean, 1e-2, 0, 0).given
    assert not torch.equal(first, with_noise(clean, 1e-2, 1, 0).given)
    assert not torch.equal(first, with_noise(clean, 1e-2, 0, 2).given)


def test_no_noise_is_the_batch_itself():
    clean = batch(2)
    assert with_noise(clean, 0.0, 0, 0) is clean


def test_where_other_channels_are_asked_than_given_there_is_nothing_to_feed_back_and_no_noise():
    asked = replace(batch(2), asked_mask=torch.ones(2, 1))
    assert torch.equal(with_noise(asked, 1e-2, 0, 0).given, asked.given)
