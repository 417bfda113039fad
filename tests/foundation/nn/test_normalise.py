"""Norms against torch's own; batch statistics also as if spread over ranks."""

import pytest
import torch

from foundation.nn.normalise import SampleBatchNorm, norm_last, statistics_held


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


@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
def test_a_group_norm_of_features_that_stand_last_is_torchs_with_its_gradients(grid, generator):
    norm = torch.nn.GroupNorm(4, 12)
    torch.nn.init.normal_(norm.weight, generator=generator)
    torch.nn.init.normal_(norm.bias, generator=generator)
    # far from zero: means and deviations matter
    x = (torch.randn(3, *grid, 12, generator=generator) * 2 + 5).requires_grad_()
    direction = torch.randn(3, *grid, 12, generator=generator)
    leaves = [x, norm.weight, norm.bias]
    results = []
    for out in (norm_last(norm, x), norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)):
        results.append((out, *torch.autograd.grad((out * direction).sum(), leaves)))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_group_norm_takes_features_however_they_lie_in_memory(generator):
    norm = torch.nn.GroupNorm(4, 12)
    x = torch.randn(2, 5, 4, 12, generator=generator)
    for odd in (x.transpose(1, 2), x[:, ::2], x[:1, :1].expand(2, 5, 4, 12)):
        torch.testing.assert_close(norm_last(norm, odd), norm_last(norm, odd.contiguous()))


def test_a_group_norms_gradient_is_summed_in_float32(generator):
    """Of bfloat16 features: no worse than rounding the exact gradient once or twice."""
    norm = torch.nn.GroupNorm(4, 16)
    x = (torch.randn(2, 16, 16, 16, generator=generator) + 1).bfloat16()
    direction = torch.randn(x.shape, generator=generator).bfloat16()
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        leaf = x.to(dtype).requires_grad_()
        out = norm_last(norm.to(dtype), leaf)
        gradients.append(torch.autograd.grad((out * direction.to(dtype)).sum(), leaf)[0])
    error = gradients[1].float() - gradients[0]
    assert error.norm() <= 2**-8 * gradients[0].norm()
