"""Batch statistics against torch's own, alone and as if spread over ranks."""

import torch

from foundation.nn.normalise import SampleBatchNorm, statistics_held


def test_training_and_evaluation_equal_torch_batch_norm(generator):
    ours, torchs = SampleBatchNorm(5), torch.nn.BatchNorm1d(5)
    for _ in range(3):
        x = torch.randn(7, 5, generator=generator) * 3 + 1
        torch.testing.assert_close(ours(x), torchs(x))
    torch.testing.assert_close(ours.running_mean, torchs.running_mean)
    torch.testing.assert_close(ours.running_var, torchs.running_var)
    ours.eval(), torchs.eval()
    torch.testing.assert_close(ours(x), torchs(x))


def test_two_half_batches_that_share_sums_equal_one_whole_batch(generator):
    x = torch.randn(8, 3, generator=generator)
    whole = SampleBatchNorm(3)(x)
    sums = _recorded_sums(x)
    for half, rows in enumerate((x[:4], x[4:])):
        norm = SampleBatchNorm(3)
        replies = iter(sums)
        norm.sum_over_ranks = lambda own, replies=replies: own * 0 + next(replies)
        torch.testing.assert_close(norm(rows), whole[4 * half : 4 * half + 4])


def _recorded_sums(x: torch.Tensor) -> list[torch.Tensor]:
    """What the sums over both halves are."""
    mean = x.mean(0)
    return [torch.cat([x.sum(0), torch.tensor([float(len(x))])]), (x - mean).square().sum(0)]


def test_held_statistics_do_not_move(generator):
    norm = SampleBatchNorm(3)
    with statistics_held(norm):
        norm(torch.randn(4, 3, generator=generator))
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.abs().max() == 0
    norm(torch.randn(4, 3, generator=generator))
    assert norm.num_batches_tracked == 1
